// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/paia-tech/hotstandbyjob/lab/internal/controlplane"
	"github.com/paia-tech/hotstandbyjob/lab/internal/simnode"
)

func clientOf(t *testing.T, l *Lab) *kubernetes.Clientset {
	t.Helper()
	config, err := l.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// pids returns the process ids of a lab's components.
func pids(t *testing.T, l *Lab) map[string]int {
	t.Helper()
	components, err := l.Components()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, c := range components {
		found[c.Name] = c.PID
	}
	return found
}

func simulatedPod(name string) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers:    []corev1.Container{{Name: "c", Image: "none"}},
		},
	}
	OnSimulatedNode(&pod.Spec)
	return pod
}

func phase(t *testing.T, client kubernetes.Interface, name string) func() corev1.PodPhase {
	return func() corev1.PodPhase {
		pod, err := client.CoreV1().Pods(metav1.NamespaceDefault).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Logf("get pod: %v", err)
			return ""
		}
		return pod.Status.Phase
	}
}

func TestUpIsIdempotentAndGrows(t *testing.T) {
	private(t)
	o := Options{Name: "grows", Node: None, SimNodes: 2}
	l := mustUp(t, o)
	before := pids(t, l)
	if slices.Contains(mapValues(before), 0) || len(before) != 5 {
		t.Errorf("components are %v, want five that run", before)
	}
	o.SimNodes = 5
	again, err := up(t, o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, pids(t, again)); diff != "" {
		t.Errorf("processes (-before +after a second up):\n%s", diff)
	}
	nodes, err := clientOf(t, again).CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(nodes.Items) != 5 {
		t.Errorf("%d nodes (%v), want 5", len(nodes.Items), err)
	}
	o.SimNodes = 1
	if fewer, err := up(t, o); err != nil || fewer.SimNodes() != 5 {
		t.Errorf("simulated nodes after asking for less: %v (%v), want 5", fewer, err)
	}
	o.Node = Real
	if _, err := up(t, o); err == nil {
		t.Error("a lab without a real node was asked for one: want an error that says to take it down")
	}
}

func mapValues(m map[string]int) []int {
	var values []int
	for _, v := range m {
		values = append(values, v)
	}
	return values
}

func TestSimulatedPodsRunAndEndWhenTold(t *testing.T) {
	private(t)
	client := clientOf(t, mustUp(t, Options{Name: "sim", Node: None, SimNodes: 2}))
	g := gomega.NewWithT(t)
	pods := client.CoreV1().Pods(metav1.NamespaceDefault)
	for _, name := range []string{"good", "bad", "gone", "stays"} {
		// Also a test of the default service account: without it admission refuses the pod.
		if _, err := pods.Create(t.Context(), simulatedPod(name), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"good", "bad", "gone", "stays"} {
		g.Eventually(phase(t, client, name), 20*time.Second).Should(gomega.Equal(corev1.PodRunning))
	}
	for name, code := range map[string]string{"good": "0", "bad": "7"} {
		pod, err := pods.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		pod.Annotations = map[string]string{ExitAnnotation: code}
		if _, err := pods.Update(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	g.Eventually(phase(t, client, "good"), 20*time.Second).Should(gomega.Equal(corev1.PodSucceeded))
	g.Eventually(phase(t, client, "bad"), 20*time.Second).Should(gomega.Equal(corev1.PodFailed))
	bad, err := pods.Get(t.Context(), "bad", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if code := bad.Status.ContainerStatuses[0].State.Terminated.ExitCode; code != 7 {
		t.Errorf("exit code is %d, want 7", code)
	}
	if err := pods.Delete(t.Context(), "gone", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	g.Eventually(func() bool {
		_, err := pods.Get(t.Context(), "gone", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	}, 20*time.Second).Should(gomega.BeTrue())
	if got := phase(t, client, "stays")(); got != corev1.PodRunning {
		t.Errorf("a pod that was told nothing is %s, want Running", got)
	}
}

func TestAPIServerEnforcesSecurity(t *testing.T) {
	private(t)
	l := mustUp(t, Options{Name: "secure", Node: None})
	client := clientOf(t, l)
	config, err := l.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	anonymous, err := kubernetes.NewForConfig(rest.AnonymousClientConfig(config))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := anonymous.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) && !apierrors.IsUnauthorized(err) {
		t.Errorf("listing pods without a certificate: %v, want it forbidden", err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: "strict", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	gomega.NewWithT(t).Eventually(func() error {
		_, err := client.CoreV1().ServiceAccounts("strict").Get(t.Context(), "default", metav1.GetOptions{})
		return err
	}, 20*time.Second).Should(gomega.Succeed())
	_, err = client.CoreV1().Pods("strict").Create(t.Context(), simulatedPod("root"), metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "PodSecurity") {
		t.Errorf("a pod without security context in a restricted namespace: %v, want it forbidden by PodSecurity", err)
	}
}

func TestUpAfterKillsStartsWhatIsMissing(t *testing.T) {
	private(t)
	o := Options{Name: "mended", Node: None, SimNodes: 1}
	l := mustUp(t, o)
	client := clientOf(t, l)
	for _, name := range []string{
		controlplane.Etcd, controlplane.APIServer, controlplane.ControllerManager, controlplane.Scheduler, simnode.Process,
	} {
		t.Run(name, func(t *testing.T) {
			kill(t, l, name)
			if name == controlplane.APIServer {
				if _, err := Open(o.Name); !errors.Is(err, ErrNotRunning) {
					t.Errorf("open a lab without an API server: %v, want %v", err, ErrNotRunning)
				}
			}
			if _, err := up(t, o); err != nil {
				t.Fatal(err)
			}
			// All components have to work together for this.
			job := simulatedJob("after-" + name)
			if _, err := client.BatchV1().Jobs(metav1.NamespaceDefault).Create(t.Context(), job, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			gomega.NewWithT(t).Eventually(func() int32 {
				got, err := client.BatchV1().Jobs(metav1.NamespaceDefault).Get(t.Context(), job.Name, metav1.GetOptions{})
				if err != nil || got.Status.Ready == nil {
					return 0
				}
				return *got.Status.Ready
			}, 30*time.Second).Should(gomega.Equal(int32(1)), "ready pods of the Job")
		})
	}
}

func simulatedJob(name string) *batchv1.Job {
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: simulatedPod(name).Spec}},
	}
}

func kill(t *testing.T, l *Lab, name string) {
	t.Helper()
	pid := pids(t, l)[name]
	if pid == 0 {
		t.Fatalf("%s does not run", name)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	gomega.NewWithT(t).Eventually(func() int { return pids(t, l)[name] }).Should(gomega.BeZero())
}

func TestTwoLabsSideBySide(t *testing.T) {
	private(t)
	labs := make([]*Lab, 2)
	names := []string{"one", "two"}
	var group sync.WaitGroup
	for i, name := range names {
		t.Cleanup(func() { mustDown(t, name) })
		group.Go(func() {
			var err error
			if labs[i], err = up(t, Options{Name: name, SimNodes: 1}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if t.Failed() {
		t.FailNow()
	}
	first, second := clientOf(t, labs[0]), clientOf(t, labs[1])
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "only-in-one"}}
	if _, err := first.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := second.CoreV1().Namespaces().Get(t.Context(), "only-in-one", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the other lab sees the namespace (%v): they share an etcd", err)
	}
	if found, err := Names(); err != nil || !slices.Equal(found, names) {
		t.Errorf("names are %v (%v), want %v", found, err, names)
	}
	mustDown(t, "one")
	if _, err := second.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("the second lab does not work after the first went down: %v", err)
	}
	if slices.Contains(mapValues(pids(t, labs[1])), 0) {
		t.Errorf("a component of the second lab ended with the first: %v", pids(t, labs[1]))
	}
}
