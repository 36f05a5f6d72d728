// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestRealNodeRunsContainersAlsoAfterAReboot(t *testing.T) {
	private(t)
	if !nodePossible() {
		t.Skip("a real node needs root on Linux")
	}
	o := Options{Name: "real", Node: Real, SimNodes: 1}
	l := mustUp(t, o)
	runContainer(t, l, "first")
	kill(t, l, "node")
	l, err := up(t, o)
	if err != nil {
		t.Fatal(err)
	}
	runContainer(t, l, "second")
}

// runContainer runs a pod that looks up the API server by name and sees its token, and holds that its exit code and
// its output arrive.
func runContainer(t *testing.T, l *Lab, name string) {
	t.Helper()
	client := clientOf(t, l)
	pods := client.CoreV1().Pods(metav1.NamespaceDefault)
	const script = "test -s /var/run/secrets/kubernetes.io/serviceaccount/token && nslookup kubernetes.default.svc.cluster.local && exit 5"
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers: []corev1.Container{{
				Name: "c", Image: "busybox", ImagePullPolicy: corev1.PullIfNotPresent, Command: []string{"sh", "-c", script},
			}},
		},
	}
	if _, err := pods.Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	gomega.NewWithT(t).Eventually(phase(t, client, name), time.Minute).Should(gomega.Equal(corev1.PodFailed))
	got, err := pods.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	log, err := pods.GetLogs(name, &corev1.PodLogOptions{}).DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if code := got.Status.ContainerStatuses[0].State.Terminated.ExitCode; code != 5 || got.Spec.NodeName != nodeName {
		t.Errorf("exit code is %d on node %s, want 5 on %s; it said:\n%s", code, got.Spec.NodeName, nodeName, log)
	}
	if !strings.Contains(string(log), "kubernetes.default.svc.cluster.local") {
		t.Errorf("the log does not have the answer of DNS:\n%s", log)
	}
}
