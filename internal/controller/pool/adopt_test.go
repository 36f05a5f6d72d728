// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/object"
)

// TestJobsOfOthers guards against defect 22.
func TestJobsOfOthers(t *testing.T) {
	other := demo(nil)
	other.UID = "a pool of the same name that was deleted"
	template, err := object.Job(other, object.Entrypoint{})
	if err != nil {
		t.Fatal(err)
	}
	foreign, orphan := template.DeepCopy(), template.DeepCopy()
	foreign.Name, orphan.Name = "foreign", "orphan"
	orphan.OwnerReferences = nil

	c := newCluster(t, nil)
	c.must(errors.Join(c.server.Create(t.Context(), foreign), c.server.Create(t.Context(), orphan)))
	c.pass()
	if n := len(c.jobs()); n != 3 {
		t.Errorf("%d Jobs, want a foreign one, an adopted one, and one more", n)
	}
	for _, job := range c.jobs() {
		want := job.Name != "foreign"
		if got := metav1.IsControlledBy(&job, c.pool()); got != want {
			t.Errorf("Job %s is the pool's: %v", job.Name, got)
		}
	}
}

// TestPodsWithoutLabels are those of the Python operator's Jobs whose template has no label: they aren't in the cache.
func TestPodsWithoutLabels(t *testing.T) {
	c := newCluster(t, nil)
	job, err := object.Job(c.pool(), object.Entrypoint{})
	if err != nil {
		t.Fatal(err)
	}
	job.Name = "demo-w-old"
	job.Labels = map[string]string{v1alpha1.LabelName: "demo"}
	job.Spec.Template.Labels = map[string]string{"app": "game"}
	c.must(c.server.Create(t.Context(), job))
	c.startPods()
	c.pass()
	if got := c.pod("demo-w-old-0").Labels[v1alpha1.LabelName]; got != "demo" {
		t.Errorf("its pod's label is %q", got)
	}
	if n := len(c.jobs()); n != 2 {
		t.Errorf("%d Jobs: the old one counts, and one is missing", n)
	}
}

// TestPodsOfAnotherJobAreNotLabelled: a Job of the same name that was deleted may have left pods.
func TestPodsOfAnotherJobAreNotLabelled(t *testing.T) {
	c := newCluster(t, nil)
	job, err := object.Job(c.pool(), object.Entrypoint{})
	if err != nil {
		t.Fatal(err)
	}
	job.Name = "demo-w-old"
	job.Spec.Template.Labels = map[string]string{"app": "game"}
	c.must(c.server.Create(t.Context(), job))
	c.startPods()
	c.change("demo-w-old-0", func(p *corev1.Pod) { p.OwnerReferences[0].UID = "a Job that is gone" })
	c.pass()
	if got, ok := c.pod("demo-w-old-0").Labels[v1alpha1.LabelName]; ok {
		t.Errorf("it is labelled %s", got)
	}
}

// TestPodsThatReplaceOthersAreLabelled: the Job of the Python operator has started its pod again.
func TestPodsThatReplaceOthersAreLabelled(t *testing.T) {
	c := newCluster(t, func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 1 })
	job, err := object.Job(c.pool(), object.Entrypoint{})
	if err != nil {
		t.Fatal(err)
	}
	job.Name, job.Spec.BackoffLimit = "demo-w-old", nil
	job.Spec.Template.Labels = map[string]string{"app": "game"}
	c.must(c.server.Create(t.Context(), job))
	c.startPods()
	c.pass()
	first := c.pod("demo-w-old-0")
	first.Status.Phase = corev1.PodFailed
	c.must(c.server.Status().Update(t.Context(), first))
	stored := c.jobs()[0]
	c.startPod(&stored, "demo-w-old-1", 0)
	c.pass()
	if got := c.pod("demo-w-old-1").Labels[v1alpha1.LabelName]; got != "demo" {
		t.Errorf("the second pod's label is %q", got)
	}
	if got := c.pool().Status; got.IdleCount != 1 || got.ChildJobs != 1 {
		t.Errorf("%d units are idle in %d Jobs, want 1 in 1", got.IdleCount, got.ChildJobs)
	}
}
