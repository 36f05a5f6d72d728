// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/probe"
	"github.com/paia-tech/hotstandbyjob/lab/labtest"
)

// execProbes is a prober that runs commands in a pod of the lab's real node.
type execProbes struct {
	t      *testing.T
	client kubernetes.Interface
	config *rest.Config
	target probe.Target
	pool   types.NamespacedName
}

func newExecProbes(t *testing.T) *execProbes {
	t.Helper()
	l := labtest.Shared(t)
	if !l.HasNode() {
		t.Skip("commands are run by a real node only, and this lab has none: see `lab up --node`")
	}
	config, err := l.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	e := &execProbes{t: t, client: labtest.Client(t, l), config: config}
	namespace := labtest.Namespace(t, l)
	e.pool = types.NamespacedName{Namespace: namespace, Name: "pool"}
	pod := e.runPod(namespace)
	e.target = probe.Target{UID: pod.UID, Name: pod.Name, Namespace: namespace, IP: pod.Status.PodIP, Container: "game"}
	return e
}

// runPod runs a pod of two containers and waits until both run.
func (e *execProbes) runPod(namespace string) *corev1.Pod {
	e.t.Helper()
	sleeper := func(name string) corev1.Container {
		return corev1.Container{
			Name: name, Image: "busybox:1.36", ImagePullPolicy: corev1.PullIfNotPresent, Command: []string{"sleep", "3600"},
		}
	}
	pods := e.client.CoreV1().Pods(namespace)
	pod, err := pods.Create(e.t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "game"},
		Spec: corev1.PodSpec{
			Containers:                    []corev1.Container{sleeper("game"), sleeper("side")},
			TerminationGracePeriodSeconds: new(int64(0)),
		},
	}, metav1.CreateOptions{})
	if err != nil {
		e.t.Fatalf("create pod: %v", err)
	}
	gomega.NewWithT(e.t).Eventually(func(g gomega.Gomega) {
		pod, err = pods.Get(e.t.Context(), pod.Name, metav1.GetOptions{})
		g.Expect(err).NotTo(gomega.HaveOccurred())
		g.Expect(pod.Status.ContainerStatuses).To(gomega.HaveLen(2))
		for _, status := range pod.Status.ContainerStatuses {
			g.Expect(status.Ready).To(gomega.BeTrue())
		}
	}, "2m", "50ms").Should(gomega.Succeed())
	return pod
}

// prober runs a prober whose commands are run with these rights, until the test ends.
func (e *execProbes) prober(config *rest.Config) *probe.Prober {
	e.t.Helper()
	executor, err := probe.NewExecutor(config)
	if err != nil {
		e.t.Fatal(err)
	}
	p := probe.New(probe.Options{Exec: executor})
	ctx, cancel := context.WithCancel(context.WithoutCancel(e.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- p.Start(ctx) }()
	e.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			e.t.Errorf("the prober ended: %v", err)
		}
	})
	return p
}

// ask returns what the pod answers to a probe that is made now.
func (e *execProbes) ask(p *probe.Prober, ask v1alpha1.ExecProbe) probe.Reading {
	e.t.Helper()
	ask.PeriodSeconds = 3600
	p.Set(probe.Pool{
		Name:    e.pool,
		Probe:   v1alpha1.BusyProbe{Mode: v1alpha1.BusyByExec, Exec: &ask},
		Targets: []probe.Target{e.target},
	})
	var reading probe.Reading
	gomega.NewWithT(e.t).Eventually(func() string { // the prober may have just been started
		reading = p.Recheck(e.t.Context(), e.pool, []probe.Target{e.target})[e.target.UID]
		return reading.Reason
	}, "1m", "10ms").ShouldNot(gomega.ContainSubstring("the operator doesn't probe yet"))
	return reading
}

func shell(script string) v1alpha1.ExecProbe {
	return v1alpha1.ExecProbe{Command: []string{"sh", "-c", script}, TimeoutSeconds: 30}
}

func TestExecThroughTheAPIServer(t *testing.T) {
	t.Parallel()
	e := newExecProbes(t)
	p := e.prober(e.config)
	busy := probe.Reading{Signal: probe.Busy, Last: probe.Busy}
	idle := probe.Reading{Signal: probe.Idle, Last: probe.Idle}
	inverted := shell("exit 0")
	inverted.SuccessIsBusy = new(false)
	for _, step := range []struct {
		name string
		ask  v1alpha1.ExecProbe
		want probe.Reading
	}{
		{"no file yet", v1alpha1.ExecProbe{Command: []string{"cat", "/tmp/busy_state"}, TimeoutSeconds: 30}, idle},
		{"the pod turns busy", shell("touch /tmp/busy_state"), busy},
		{"a file", v1alpha1.ExecProbe{Command: []string{"cat", "/tmp/busy_state"}, TimeoutSeconds: 30}, busy},
		{"another exit code", shell("exit 137"), idle},
		{"successIsBusy: false (defect 13)", inverted, idle},
		{"output on both streams", shell("echo out; echo err >&2; yes | head -c 500000"), busy},
	} {
		if diff := cmp.Diff(step.want, e.ask(p, step.ask)); diff != "" {
			t.Errorf("%s: reading (-want +got):\n%s", step.name, diff)
		}
	}
	e.target.Container = "side"
	if got := e.ask(p, shell("test -e /tmp/busy_state")); got != idle {
		t.Errorf("in the other container: %+v; want %+v", got, idle)
	}
}

func TestExecThatGivesNoAnswerIsUnknown(t *testing.T) {
	t.Parallel()
	e := newExecProbes(t)
	p := e.prober(e.config)
	began := time.Now()
	hanging := v1alpha1.ExecProbe{Command: []string{"sleep", "600"}} // defect 14: timeoutSeconds 0 isn't for ever
	if got := e.ask(p, hanging); got.Signal != probe.Unknown || !strings.Contains(got.Reason, "didn't end within 1s") {
		t.Errorf("a command that hangs: %+v", got)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("a command that hangs took %v", took)
	}
	missing := v1alpha1.ExecProbe{Command: []string{"/no/such/program"}, TimeoutSeconds: 30}
	first, second := e.ask(p, missing), e.ask(p, missing)
	if first != second {
		t.Errorf("the reason changes from one probe to the next:\n%s\n%s", first.Reason, second.Reason)
	}
	t.Logf("a program that isn't there: %+v", first)
	e.target.Container = "nobody"
	if got := e.ask(p, shell("exit 0")); got.Signal != probe.Unknown || !strings.Contains(got.Reason, "nobody") {
		t.Errorf("a container that isn't there: %+v", got)
	}
	e.target.Name = "gone"
	if got := e.ask(p, shell("exit 0")); got.Signal != probe.Unknown || !strings.Contains(got.Reason, "not found") {
		t.Errorf("a pod that isn't there: %+v", got)
	}
}

// The operator has the permission only where config/components/exec is installed; its verbs are those of this test.
func TestExecNeedsItsPermission(t *testing.T) {
	t.Parallel()
	e := newExecProbes(t)
	limited := rest.CopyConfig(e.config)
	limited.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:" + e.pool.Namespace + ":default"}
	p := e.prober(limited)
	got := e.ask(p, shell("exit 0"))
	if got.Signal != probe.Unknown || !strings.Contains(got.Reason, "install config/components/exec") {
		t.Errorf("without the permission: %+v; want unknown, and the remedy", got)
	}
	rules := e.client.RbacV1()
	if _, err := rules.Roles(e.pool.Namespace).Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "exec"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods/exec"}, Verbs: []string{"get", "create"}}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatalf("create role: %v", err)
	}
	if _, err := rules.RoleBindings(e.pool.Namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "exec"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "exec"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "default", Namespace: e.pool.Namespace}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatalf("create role binding: %v", err)
	}
	gomega.NewWithT(t).Eventually(func() probe.Signal { return e.ask(p, shell("exit 0")).Signal }, "1m", "100ms").
		Should(gomega.Equal(probe.Busy))
}
