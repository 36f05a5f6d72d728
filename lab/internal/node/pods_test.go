// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"

	"github.com/paia-tech/hotstandbyjob/lab"
	"github.com/paia-tech/hotstandbyjob/lab/internal/image"
	"github.com/paia-tech/hotstandbyjob/lab/labtest"
)

const soon = time.Minute

// cluster is a lab with a real node, seen through kubectl.
type cluster struct {
	lab       *lab.Lab
	namespace string
}

func shared(t *testing.T) cluster {
	t.Helper()
	l := labtest.Shared(t)
	if !l.HasNode() {
		t.Skip("this lab has no real node: run the tests as root on Linux")
	}
	return cluster{lab: l, namespace: labtest.Namespace(t, l)}
}

// kubectl returns what it printed and its exit code.
func (c cluster) kubectl(ctx context.Context, stdin string, args ...string) (string, int) {
	args = append([]string{"--kubeconfig", c.lab.Kubeconfig(), "--namespace", c.namespace}, args...)
	cmd := exec.CommandContext(ctx, filepath.Join(c.lab.BinDir(), "kubectl"), args...)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &out
	err := cmd.Run()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.String(), ended.ExitCode()
	}
	if err != nil {
		return err.Error(), -1
	}
	return out.String(), 0
}

func (c cluster) must(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, code := c.kubectl(t.Context(), stdin, args...)
	if code != 0 {
		t.Fatalf("kubectl %s: exit code %d: %s", strings.Join(args, " "), code, out)
	}
	return strings.TrimSpace(out)
}

func (c cluster) get(t *testing.T, path string, what ...string) string {
	t.Helper()
	return c.must(t, "", append([]string{"get", "--output", "jsonpath=" + path}, what...)...)
}

// eventually waits until kubectl prints what is wanted.
func (c cluster) eventually(t *testing.T, want string, args ...string) {
	t.Helper()
	gomega.NewWithT(t).Eventually(func() string {
		out, _ := c.kubectl(t.Context(), "", args...)
		return out
	}, soon, 100*time.Millisecond).Should(gomega.ContainSubstring(want))
}

const webPod = `
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: web
    image: busybox
    command: [sh, -c, "echo started; mkdir /www; echo served > /www/index.html; exec httpd -f -p 8080 -h /www"]
    startupProbe: {exec: {command: [cat, /www/index.html]}, periodSeconds: 1}
    readinessProbe: {httpGet: {path: /index.html, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: front}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
`

func (c cluster) startWeb(t *testing.T) {
	t.Helper()
	c.must(t, webPod, "apply", "-f", "-")
	c.must(t, "", "wait", "--for=condition=Ready", "pod/web", "--timeout=60s")
}

func TestPodsAreReal(t *testing.T) {
	c := shared(t)
	c.startWeb(t)

	t.Run("logs", func(t *testing.T) {
		if got := c.must(t, "", "logs", "web"); got != "started" {
			t.Errorf("logs are %q, want %q", got, "started")
		}
	})
	t.Run("exec", func(t *testing.T) {
		for _, want := range []int{0, 1, 42} {
			if out, code := c.kubectl(t.Context(), "", "exec", "web", "--", "sh", "-c", "exit "+strconv.Itoa(want)); code != want {
				t.Errorf("exit code is %d, want %d: %s", code, want, out)
			}
		}
		if got := c.must(t, "through", "exec", "-i", "web", "--", "cat"); got != "through" {
			t.Errorf("standard input came back as %q", got)
		}
	})
	t.Run("Service from a pod by its name", func(t *testing.T) {
		for _, name := range []string{"front", "front." + c.namespace + ".svc.cluster.local"} {
			c.eventually(t, "served", "exec", "web", "--", "wget", "-q", "-O-", "http://"+name+"/")
		}
	})
	t.Run("Service from the host by its address", func(t *testing.T) {
		c.fetch(t, "http://"+c.get(t, "{.spec.clusterIP}", "service", "front")+"/", "served")
	})
	t.Run("pod from the host", func(t *testing.T) {
		c.fetch(t, "http://"+c.get(t, "{.status.podIP}", "pod", "web")+":8080/", "served")
	})
	t.Run("DNS", func(t *testing.T) {
		want := c.get(t, "{.spec.clusterIP}", "service", "kubernetes", "--namespace=default")
		if got := c.must(t, "", "exec", "web", "--", "nslookup", "kubernetes.default.svc.cluster.local"); !strings.Contains(got, want) {
			t.Errorf("the answer has no %s: %s", want, got)
		}
		started := time.Now()
		if out, code := c.kubectl(t.Context(), "", "exec", "web", "--", "nslookup", "hotstandbyjob.invalid"); code == 0 {
			t.Errorf("a name that is not in the cluster was found: %s", out)
		}
		if took := time.Since(started); took > 5*time.Second {
			t.Errorf("it took %s to learn that a name does not exist", took)
		}
	})
}

// fetch gets a URL from this machine, as an API server does that calls a webhook.
func (c cluster) fetch(t *testing.T, url, want string) {
	t.Helper()
	gomega.NewWithT(t).Eventually(func() (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return "", err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return "", err
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		return string(body), err
	}, soon, 100*time.Millisecond).Should(gomega.ContainSubstring(want))
}

func TestImages(t *testing.T) {
	c := shared(t)
	for _, name := range []string{"busybox", "busybox:latest", "busybox:1.36", "docker.io/library/busybox:1.36"} {
		for _, policy := range []string{"Always", "IfNotPresent", "Never"} {
			pod := strings.NewReplacer(":", "-", ".", "-", "/", "-").Replace(strings.ToLower(name + "-" + policy))
			t.Run(pod, func(t *testing.T) {
				t.Parallel()
				c.must(t, "", "run", pod, "--image="+name, "--image-pull-policy="+policy, "--restart=Never", "--", "sh", "-c", "exit 7")
				c.eventually(t, "7", "get", "pod", pod, "--output", "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}")
			})
		}
	}
	t.Run("missing", func(t *testing.T) {
		started := time.Now()
		c.must(t, "", "run", "missing", "--image=registry.invalid/nosuch:1", "--restart=Never")
		c.eventually(t, "registry.invalid/nosuch:1: not found", "get", "events", "--field-selector=reason=Failed", "--output", "jsonpath={.items[*].message}")
		t.Logf("known after %s", time.Since(started))
	})
	t.Run("loaded", func(t *testing.T) {
		tarPath := filepath.Join(t.TempDir(), "image.tar")
		spec := image.Spec{
			Names: []string{"hsj-test-loaded:" + c.namespace}, User: image.NonRoot, Entrypoint: []string{"/busybox", "sh", "-c", "exit 9"},
			Files: []image.File{{Path: "/busybox", Source: "/usr/bin/busybox"}},
		}
		if err := image.Build(spec, tarPath); err != nil {
			t.Fatal(err)
		}
		if err := c.lab.LoadImage(t.Context(), tarPath); err != nil {
			t.Fatal(err)
		}
		for _, policy := range []string{"Always", "Never"} {
			pod := "loaded-" + strings.ToLower(policy)
			c.must(t, "", "run", pod, "--image="+spec.Names[0], "--image-pull-policy="+policy, "--restart=Never")
			c.eventually(t, "9", "get", "pod", pod, "--output", "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}")
		}
	})
}

// TestTheWorkerAnnotatesItself runs the demo worker as the examples do: without privileges, with its own account.
func TestTheWorkerAnnotatesItself(t *testing.T) {
	c := shared(t)
	c.must(t, `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: worker}
rules: [{apiGroups: [""], resources: [pods], verbs: [patch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: worker}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: worker}
subjects: [{kind: ServiceAccount, name: default}]
---
apiVersion: v1
kind: Pod
metadata: {name: worker}
spec:
  restartPolicy: Never
  containers:
  - name: worker
    image: `+image.Worker+`
    args: [run, --busy-by=annotation, --exit=5]
    readinessProbe: {httpGet: {path: /ready, port: 8080}, periodSeconds: 1}
    securityContext:
      allowPrivilegeEscalation: false
      capabilities: {drop: [ALL]}
      readOnlyRootFilesystem: true
      runAsNonRoot: true
      seccompProfile: {type: RuntimeDefault}
`, "apply", "-f", "-")
	c.must(t, "", "wait", "--for=condition=Ready", "pod/worker", "--timeout=60s")
	const annotation = `{.metadata.annotations.paia\.tech/busy}`
	base := "http://" + c.get(t, "{.status.podIP}", "pod", "worker") + ":8080"
	post(t, base+"/busy")
	if got := c.get(t, annotation, "pod", "worker"); got != "true" {
		t.Errorf("the annotation is %q after the worker has become busy, want true", got)
	}
	post(t, base+"/idle")
	if got := c.get(t, annotation, "pod", "worker"); got != "" {
		t.Errorf("the annotation is %q after the worker has become idle, want none", got)
	}
	post(t, base+"/exit?code=5")
	c.eventually(t, "5", "get", "pod", "worker", "--output", "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}")
}

func post(t *testing.T, url string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
		t.Fatalf("POST %s: %s: %s", url, response.Status, body)
	}
}
