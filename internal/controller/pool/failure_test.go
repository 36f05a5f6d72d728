// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// TestFailedUnits: a failed standby unit is kept to look at, an older one goes (defect 8), and is replaced after a delay.
func TestFailedUnits(t *testing.T) {
	c := newCluster(t, nil)
	c.fill()
	for i, name := range []string{"demo-w-00001-0", "demo-w-00002-0"} {
		p := c.pod(name)
		p.Status.Phase = corev1.PodFailed
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "worker", State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: 3, Reason: "Error", FinishedAt: p.CreationTimestamp},
		}}}
		p.Status.ContainerStatuses[0].State.Terminated.FinishedAt.Time = noon.Add(time.Duration(i) * time.Second)
		c.must(c.server.Status().Update(t.Context(), p))
	}
	c.clock.SetTime(noon.Add(2 * time.Second))
	result := c.pass()
	if jobs := c.jobs(); len(jobs) != 1 || jobs[0].Name != "demo-w-00002" {
		t.Errorf("%d Jobs are left, want the last to fail", len(jobs))
	}
	if result.RequeueAfter != 9*time.Second {
		t.Errorf("the next try is in %s, want 10 s after the failure", result.RequeueAfter)
	}
	want := []string{
		"Warning UnitFailed: unit demo-w-00001 failed: container worker: Error, exit code 3",
		"Warning UnitFailed: unit demo-w-00002 failed: container worker: Error, exit code 3",
	}
	if diff := cmp.Diff(want, c.recorder.sent()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if got := c.condition(v1alpha1.ConditionDegraded); got != "True UnitsFailing" {
		t.Errorf("Degraded is %s", got)
	}

	c.restart() // the new operator remembers by the status
	c.clock.SetTime(noon.Add(5 * time.Second))
	c.pass()
	if n := len(c.jobs()); n != 1 {
		t.Errorf("%d Jobs: a restart ends the delay", n)
	}
	c.clock.SetTime(noon.Add(11 * time.Second))
	c.pass()
	if n := len(c.jobs()); n != 2 {
		t.Errorf("%d Jobs after the delay, want the failed one and a trial", n)
	}
}
