// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"errors"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// count is how many of the requests begin so.
func count(requests []string, verb string) int {
	n := 0
	for _, r := range requests {
		if strings.HasPrefix(r, verb) {
			n++
		}
	}
	return n
}

// TestForbidden guards against defect 3: what is refused is tried once, not for each of 20 units, and said in a condition.
func TestForbidden(t *testing.T) {
	c := newCluster(t, func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 20 })
	c.onCreate = func(o client.Object) error {
		return apierrors.NewForbidden(jobsKind, o.GetName(), errors.New("exceeded quota: few, requested: count/jobs.batch=1"))
	}
	result := c.pass()
	if n := count(c.asked(), "create Job"); n != 1 {
		t.Errorf("%d tries, want 1", n)
	}
	if got := c.condition(v1alpha1.ConditionDegraded); got != "True Refused" {
		t.Errorf("Degraded is %s", got)
	}
	if result.RequeueAfter != 10*time.Second {
		t.Errorf("the next try is in %s, want 10 s", result.RequeueAfter)
	}
	for _, condition := range c.pool().Status.Conditions {
		if strings.Contains(condition.Message, "demo-w-0") {
			t.Errorf("%s: %q changes with every try", condition.Type, condition.Message)
		}
	}
	if events := c.recorder.sent(); count(events, "Warning Refused: ") != 1 || len(events) != 1 {
		t.Errorf("events: %v", events)
	}

	c.clock.SetTime(noon.Add(9 * time.Second))
	c.pass()
	if n := count(c.asked(), "create Job"); n != 0 {
		t.Errorf("%d tries before it was time", n)
	}
	c.clock.SetTime(noon.Add(10 * time.Second))
	if result = c.pass(); result.RequeueAfter != 10*time.Second { // the dry run was taken: it may have been passing
		t.Errorf("the next try is in %s, want 10 s", result.RequeueAfter)
	}
	if n := count(c.asked(), "create Job"); n != 1 {
		t.Errorf("%d tries, want 1", n)
	}
	if events := c.recorder.sent(); len(events) != 0 {
		t.Errorf("it is said again: %v", events)
	}

	c.onCreate = nil
	c.clock.SetTime(noon.Add(20 * time.Second))
	c.pass()
	if n := len(c.jobs()); n != 20 {
		t.Errorf("%d Jobs when there is room, want 20", n)
	}
	if got := c.condition(v1alpha1.ConditionDegraded); got != "False AsExpected" {
		t.Errorf("Degraded is %s", got)
	}
}

// TestQuotaOfJobs guards against defect 3: a server that goes on refusing is asked ever more seldom.
func TestQuotaOfJobs(t *testing.T) {
	c := newCluster(t, func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 20 })
	full := func(o client.Object) error {
		if _, ok := o.(*batchv1.Job); ok {
			return apierrors.NewForbidden(jobsKind, o.GetName(), errors.New("exceeded quota: few, requested: count/jobs.batch=1"))
		}
		return nil
	}
	c.onCreate, c.onDryRun = full, full
	for i := range 120 {
		c.clock.SetTime(noon.Add(time.Duration(i) * 5 * time.Second))
		c.pass()
	}
	requests := c.asked()
	if created, tried := count(requests, "create Job"), count(requests, "try Job"); created > 7 || tried > 7 || created == 0 {
		t.Errorf("%d creations and %d dry runs in 10 minutes", created, tried)
	}
	if got := c.condition(v1alpha1.ConditionDegraded); got != "True Refused" {
		t.Errorf("Degraded is %s", got)
	}
}

// TestRefusedTemplates guards against defect 25: a template that the server refuses makes no Jobs, and the condition
// quotes the server.
func TestRefusedTemplates(t *testing.T) {
	for name, tc := range map[string]struct {
		change     func(*v1alpha1.HotStandbyJobSpec)
		onDryRun   func(client.Object) error
		want, said string
		wake       time.Duration
	}{
		"the Job is refused": {
			onDryRun: func(o client.Object) error {
				return apierrors.NewForbidden(jobsKind, o.GetName(), errors.New("by policy"))
			},
			want: "True Refused", said: "by policy", wake: 10 * time.Second,
		},
		"its pods are refused": {
			onDryRun: func(o client.Object) error {
				if _, ok := o.(*corev1.Pod); ok {
					return apierrors.NewForbidden(podsKind, "", errors.New("serviceaccount not found"))
				}
				return nil
			},
			want: "True Refused", said: "serviceaccount not found", wake: 10 * time.Second,
		},
		"no Job can be built": {
			change: func(s *v1alpha1.HotStandbyJobSpec) {
				s.BusyProbe = v1alpha1.BusyProbe{Mode: v1alpha1.BusyByExec, Exec: &v1alpha1.ExecProbe{Container: new("gone")}}
			},
			want: "True InvalidTemplate", said: "busyProbe.exec.container",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, tc.change)
			c.onDryRun = tc.onDryRun
			result := c.pass()
			if n := len(c.jobs()); n != 0 {
				t.Errorf("%d Jobs were made", n)
			}
			if got := c.condition(v1alpha1.ConditionDegraded); got != tc.want {
				t.Errorf("Degraded is %s, want %s", got, tc.want)
			}
			if events := c.recorder.sent(); len(events) != 1 || !strings.Contains(events[0], tc.said) {
				t.Errorf("events: %v", events)
			}
			if result.RequeueAfter != tc.wake {
				t.Errorf("it is asked again in %s, want %s", result.RequeueAfter, tc.wake)
			}
			if got := c.pool().Status.CurrentRevision; got != "" {
				t.Errorf("the current revision is %s, of which no unit can be made", got)
			}

			c.onDryRun = nil
			c.clock.SetTime(noon.Add(10 * time.Second))
			c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.BusyProbe = v1alpha1.BusyProbe{} })
			c.pass()
			if n := len(c.jobs()); n != 2 {
				t.Errorf("%d Jobs after the remedy, want 2", n)
			}
		})
	}
}

// TestRefusalOfANewTemplateKeepsTheOldUnits holds that a bad rollout costs nothing.
func TestRefusalOfANewTemplateKeepsTheOldUnits(t *testing.T) {
	c := newCluster(t, nil)
	c.fill()
	c.onDryRun = func(o client.Object) error {
		return apierrors.NewForbidden(jobsKind, o.GetName(), errors.New("by policy"))
	}
	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.JobTemplate.Image = "busybox:2" })
	c.pass()
	if diff := len(c.pods()); diff != 2 {
		t.Errorf("%d pods are left", diff)
	}
	if got := c.condition(v1alpha1.ConditionReady); got != "True IdleTargetMet" {
		t.Errorf("Ready is %s", got)
	}
}

// TestQuotaOfPods guards against defect 3: Jobs whose pods are refused aren't made again and again.
func TestQuotaOfPods(t *testing.T) {
	c := newCluster(t, nil)
	c.onDryRun = func(o client.Object) error {
		if _, ok := o.(*corev1.Pod); ok {
			return apierrors.NewForbidden(podsKind, "demo-w-x7x7x", errors.New("exceeded quota: few, requested: pods=1"))
		}
		return nil
	}
	c.pass()
	for i := range 20 {
		c.clock.SetTime(noon.Add(time.Duration(i) * 10 * time.Second))
		c.pass()
	}
	if n := len(c.jobs()); n != 2 {
		t.Errorf("%d Jobs, want 2", n)
	}
	if got := c.condition(v1alpha1.ConditionDegraded); got != "True PodsRefused" {
		t.Errorf("Degraded is %s", got)
	}
	if n := count(c.asked(), "try Pod"); n < 3 || n > 7 {
		t.Errorf("asked %d times in 200 s: it should be at 0, 10, 30, 70 and 150 s", n)
	}

	c.onDryRun = nil
	c.startPods()
	c.clock.SetTime(noon.Add(time.Hour))
	c.pass()
	c.pass()
	if got := c.condition(v1alpha1.ConditionDegraded); got != "False AsExpected" {
		t.Errorf("Degraded is %s though there is room", got)
	}
}

// TestMissingPodsAreAskedAbout: a webhook that came after the template was accepted.
func TestMissingPodsAreAskedAbout(t *testing.T) {
	c := newCluster(t, nil)
	if result := c.pass(); result.RequeueAfter != 0 {
		t.Errorf("another pass in %s", result.RequeueAfter)
	}
	if result := c.pass(); result.RequeueAfter != podless {
		t.Errorf("pods that are missing are looked at again in %s, want %s", result.RequeueAfter, podless)
	}
	c.asked()
	c.onDryRun = func(o client.Object) error {
		return apierrors.NewForbidden(podsKind, o.GetName(), errors.New("by a new webhook"))
	}
	c.clock.SetTime(noon.Add(podless))
	c.pass()
	if got := c.condition(v1alpha1.ConditionDegraded); got != "True Refused" {
		t.Errorf("Degraded is %s", got)
	}
}
