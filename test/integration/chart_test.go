// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// chartSpace is the namespace of the manifests, which the chart is rendered for, too.
const chartSpace = "hotstandbyjob-system"

// helm runs helm as a tool of this source tree, and returns what it printed, and an error with what it complained about.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	home := t.TempDir()
	command := exec.CommandContext(t.Context(), "go", append([]string{"tool", "-modfile=tools/helm/go.mod", "helm"}, args...)...)
	command.Dir = kit.Root()
	command.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	var complaints bytes.Buffer
	command.Stderr = &complaints
	out, err := command.Output()
	if err != nil {
		err = fmt.Errorf("helm %s: %w: %s", strings.Join(args, " "), err, complaints.String())
	}
	return string(out), err
}

// renderChart is what `helm install` would make, with some values.
func renderChart(t *testing.T, values ...string) string {
	t.Helper()
	args := []string{"template", "hotstandbyjob", "charts/hotstandbyjob", "--namespace", chartSpace}
	for _, value := range values {
		args = append(args, "--set-json", value)
	}
	out, err := helm(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// objects reads manifests, by kind and name.
func objects(t *testing.T, text string) map[string]*unstructured.Unstructured {
	t.Helper()
	found := map[string]*unstructured.Unstructured{}
	for document := range strings.SplitSeq("\n"+text, "\n---\n") {
		if o := object(t, document); len(o.Object) > 0 {
			found[o.GetKind()+" "+o.GetName()] = o
		}
	}
	return found
}

// withoutChart takes off an object what says that it is a chart's.
func withoutChart(o *unstructured.Unstructured) map[string]any {
	labels, annotations := o.GetLabels(), o.GetAnnotations()
	for _, key := range []string{
		"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart",
	} {
		delete(labels, key)
	}
	delete(annotations, "helm.sh/resource-policy")
	o.SetLabels(orNil(labels))
	o.SetAnnotations(orNil(annotations))
	return o.Object
}

// orNil is a map that isn't there when it is empty.
func orNil(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return m
}

func TestTheChartIsWhatTheManifestsAre(t *testing.T) {
	s := newServer(t)
	out, err := s.kubectl(t, "kustomize", filepath.Join(kit.Root(), "config", "default"))
	if err != nil {
		t.Fatal(err)
	}
	want, got := objects(t, out), objects(t, renderChart(t))
	delete(want, "Namespace "+chartSpace)                     // helm makes it with --create-namespace
	delete(got, "PodDisruptionBudget hotstandbyjob-operator") // the chart alone has it
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Fatalf("objects (-manifests +chart):\n%s", diff)
	}
	for name := range want {
		if diff := cmp.Diff(withoutChart(want[name]), withoutChart(got[name])); diff != "" {
			t.Errorf("%s (-manifests +chart):\n%s", name, diff)
		}
	}
}

// everything are values that turn on all that the chart has.
func everything() []string {
	return []string{
		`permissions={"exec":true,"redisSecrets":true}`, `networkPolicy={"enabled":true,"metricsFrom":[{"namespaceSelector":{"matchLabels":{"a":"b"}}}]}`,
		`config={"REDIS_HOST":"redis","REDIS_PORT":6379}`, `extraArgs=["--v=1"]`, `imagePullSecrets=[{"name":"pull"}]`,
		`push={"gateway":{"url":"https://gateway.example.com:7443","anyAddress":true},"certificateNames":["gateway.example.com","b.example.com"]}`,
		`image={"repository":"example.com/operator","digest":"sha256:` + strings.Repeat("0", 64) + `"}`,
		`priorityClassName="system-cluster-critical"`, `tolerations=[{"operator":"Exists"}]`, `podLabels={"a":"b"}`, `podAnnotations={"a":"b"}`,
		`serviceAccount={"annotations":{"a":"b"}}`, `affinity={"nodeAffinity":{}}`,
		`topologySpreadConstraints=[{"maxSkew":1,"topologyKey":"zone","whenUnsatisfiable":"ScheduleAnyway"}]`,
	}
}

func TestTheServerTakesTheChart(t *testing.T) {
	s := newServer(t)
	for name, values := range map[string][]string{
		"by default": nil, "with everything": everything(), "without launches": {`push={"enabled":false}`, `replicas=1`},
		"without a page": {`ui={"enabled":false}`}, "without either": {`push={"enabled":false}`, `ui={"enabled":false}`},
	} {
		t.Run(name, func(t *testing.T) {
			found := objects(t, strings.ReplaceAll(renderChart(t, values...), chartSpace, s.namespace))
			for name, o := range found {
				text, err := o.MarshalJSON()
				if err != nil {
					t.Fatal(err)
				}
				file := filepath.Join(t.TempDir(), "object.json")
				if err := os.WriteFile(file, text, 0o600); err != nil {
					t.Fatal(err)
				}
				if _, err := s.kubectl(t, "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "--filename", file); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			var d appsv1.Deployment
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(found["Deployment hotstandbyjob-operator"].Object, &d); err != nil {
				t.Fatal(err)
			}
			c, all := parseArgs(t, d), name == "with everything"
			if c.ExecThroughAPIServer != all || c.RedisPasswordSecrets != all || c.Push.GatewayAnyAddress != all || c.Push.Enabled == slices.Contains([]string{"without launches", "without either"}, name) {
				t.Errorf("the operator's configuration is %+v", c)
			}
			noPage := slices.Contains([]string{"without a page", "without either"}, name)
			service, ok := found["Service hotstandbyjob-gateway"]
			if (c.UIAddress == "0") != noPage || ok != (c.Push.Enabled || !noPage) || ok && noPage == strings.Contains(fmt.Sprint(service.Object), "7444") {
				t.Errorf("the page is at %q, and the Service is %v", c.UIAddress, service)
			}
			if got := environmentOf(found); all != slices.Contains(got, "REDIS_PORT=6379") {
				t.Errorf("the operator's environment is %v", got)
			}
		})
	}
	m := objects(t, renderChart(t, `serviceMonitor={"enabled":true,"labels":{"release":"x"}}`))["ServiceMonitor hotstandbyjob-operator"]
	if m == nil || m.GetLabels()["release"] != "x" { // its definition isn't there to hold it against
		t.Errorf("the ServiceMonitor is %v", m)
	}
}

// environmentOf is what the operator gets of the chart's ConfigMap.
func environmentOf(found map[string]*unstructured.Unstructured) (environment []string) {
	if o, ok := found["ConfigMap hotstandbyjob-operator-config"]; ok {
		data, _, _ := unstructured.NestedStringMap(o.Object, "data")
		for name, value := range data {
			environment = append(environment, name+"="+value)
		}
	}
	return environment
}

func TestTheChartRefusesWhatItDoesNotKnow(t *testing.T) {
	if out, err := helm(t, "lint", "--strict", "charts/hotstandbyjob"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	for value, want := range map[string]string{
		`replica=3`:                                  "additional properties 'replica' not allowed",
		`push={"gateway":{"url":"http://a:1"}}`:      "/push/gateway/url",
		`image={"digest":"latest"}`:                  "/image/digest",
		`config={"REDIS_HOST":["a"]}`:                "/config/REDIS_HOST",
		`extraArgs=["v"]`:                            "/extraArgs/0",
		`serviceMonitor={"interval":"half an hour"}`: "/serviceMonitor/interval",
	} {
		_, err := helm(t, "template", "x", "charts/hotstandbyjob", "--set-json", value)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want an error that says %s", value, err, want)
		}
	}
}
