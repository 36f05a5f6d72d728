// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
)

// inShort writes a change in short.
func inShort(c Change) string {
	said := "job"
	if c.Pod != nil {
		said = "pod " + c.Pod.Name + " " + string(c.Pod.Status.Phase)
	}
	if c.Gone {
		said += " gone"
	}
	return said
}

func TestInformersTellWhatIsAndWhatBecomesOfIt(t *testing.T) {
	objectOf := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "games", Name: name, UID: types.UID("uid-" + name), Labels: map[string]string{batchv1.JobNameLabel: "job"}}
	}
	first, other := &corev1.Pod{ObjectMeta: objectOf("first")}, &corev1.Pod{ObjectMeta: objectOf("other")}
	other.Labels[batchv1.JobNameLabel] = "another"
	client := fake.NewClientset(&batchv1.Job{ObjectMeta: objectOf("job")}, first, other)
	factory := informers.NewSharedInformerFactory(client, 0)
	w, err := NewInformerWatcher(factory.Batch().V1().Jobs().Informer(), factory.Core().V1().Pods().Informer())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer factory.Shutdown()
	defer cancel()
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())

	watched, stop := context.WithCancel(ctx)
	changes := w.Watch(watched, types.NamespacedName{Namespace: "games", Name: "job"})
	heard := map[string]bool{}
	expect := func(want string) {
		t.Helper()
		for c := range changes {
			got := inShort(c)
			if heard[got] { // what was there at first is told by the informer's handlers too
				continue
			}
			heard[got] = true
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			return
		}
	}
	expect("job")
	expect("pod first ")
	pods := client.CoreV1().Pods("games")
	first.Status.Phase = corev1.PodRunning
	if _, err := pods.UpdateStatus(ctx, first, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	expect("pod first Running")
	if _, err := pods.Create(ctx, &corev1.Pod{ObjectMeta: objectOf("second")}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	expect("pod second ")
	if found, err := w.Pods(ctx, types.NamespacedName{Namespace: "games", Name: "job"}); err != nil || len(found) != 2 {
		t.Errorf("%d pods, %v", len(found), err)
	}
	if err := pods.Delete(ctx, "second", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	expect("pod second  gone")
	stop()
	for c := range changes {
		if got := inShort(c); !heard[got] {
			t.Errorf("got %q after the end", got)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.feeds) != 0 {
		t.Errorf("left: %v", w.feeds)
	}
}

func TestASlowReaderGetsTheNewestOfEachObject(t *testing.T) {
	f := &feed{wake: make(chan struct{}, 1), changes: map[types.UID]Change{}}
	for _, phase := range []corev1.PodPhase{corev1.PodPending, corev1.PodRunning, corev1.PodSucceeded} {
		for _, uid := range []types.UID{"a", "b"} {
			f.add(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: uid}, Status: corev1.PodStatus{Phase: phase}}, false)
		}
	}
	for _, uid := range []types.UID{"a", "b"} {
		if c, ok := f.next(); !ok || c.Pod.UID != uid || c.Pod.Status.Phase != corev1.PodSucceeded {
			t.Errorf("got %v", c)
		}
	}
	if c, ok := f.next(); ok {
		t.Errorf("got one more: %v", c)
	}
}
