// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

var (
	errLost  = fmt.Errorf("the answer was lost: %w", context.DeadlineExceeded)
	jobsKind = schema.GroupResource{Group: "batch", Resource: "jobs"}
	podsKind = schema.GroupResource{Resource: "pods"}
)

func shareJob(s *v1alpha1.HotStandbyJobSpec) { s.Layout = v1alpha1.LayoutSharedJob }

func TestPoolIsFilled(t *testing.T) {
	c := newCluster(t, nil)
	c.pass()
	want := []string{
		"create Job demo-w-00001", "create Job demo-w-00002", "patch status of HotStandbyJob demo",
		"try Job ", "try Pod ", // would they be taken?
	}
	if diff := cmp.Diff(want, c.asked()); diff != "" {
		t.Errorf("requests of the first pass (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Normal UnitsCreated: created 2 units"}, c.recorder.sent()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if got := c.condition(v1alpha1.ConditionReady); got != "False IdleTargetNotMet" {
		t.Errorf("Ready is %s", got)
	}
	c.pass()
	if diff := cmp.Diff([]string{"patch status of HotStandbyJob demo"}, c.asked()); diff != "" {
		t.Errorf("requests while pods start (-want +got):\n%s", diff)
	}
	c.startPods()
	c.pass()
	want = []string{"patch Pod demo-w-00001-0", "patch Pod demo-w-00002-0", "patch status of HotStandbyJob demo"}
	if diff := cmp.Diff(want, c.asked()); diff != "" {
		t.Errorf("requests when they run (-want +got):\n%s", diff)
	}
	if got := c.condition(v1alpha1.ConditionReady); got != "True IdleTargetMet" {
		t.Errorf("Ready is %s", got)
	}
	status := c.pool().Status
	if status.IdleCount != 2 || status.ActiveCount != 2 || status.ChildJobs != 2 || status.ActiveJobs != 2 || status.DesiredActive != 2 {
		t.Errorf("defect 1: the status is %+v", status)
	}
}

// TestNothingIsWrittenAtRest guards against defect 26.
func TestNothingIsWrittenAtRest(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.HotStandbyJobSpec){"a Job per unit": nil, "a shared Job": shareJob} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, change)
			c.fill()
			for range 3 {
				c.clock.SetTime(c.clock.Now().Add(time.Minute))
				if result := c.pass(); result.RequeueAfter != 0 {
					t.Errorf("another pass in %s", result.RequeueAfter)
				}
			}
			if got := c.asked(); len(got) > 0 {
				t.Errorf("requests: %v", got)
			}
			if got := c.recorder.sent(); len(got) > 0 {
				t.Errorf("events: %v", got)
			}
		})
	}
}

func TestNumbersWaitForTheStatusBeforeThem(t *testing.T) {
	c := newCluster(t, nil)
	c.fill()
	c.r.StatusPeriod = time.Second
	c.clock.SetTime(noon.Add(time.Minute))
	shown := func(what string, busy int32, again time.Duration) { // again is 0 where something else may call for a pass
		t.Helper()
		result := c.pass()
		if got := c.pool().Status.BusyCount; got != busy || again > 0 && result.RequeueAfter != again {
			t.Errorf("%s: %d busy, and another pass in %s; want %d and %s", what, got, result.RequeueAfter, busy, again)
		}
	}
	names := c.podNames()
	c.change(names[0], busy)
	shown("the first change", 1, 0)
	c.clock.SetTime(c.clock.Now().Add(400 * time.Millisecond))
	c.change(names[1], busy)
	shown("the next one", 1, 600*time.Millisecond)
	c.clock.SetTime(c.clock.Now().Add(200 * time.Millisecond))
	shown("meanwhile", 1, 400*time.Millisecond)
	c.clock.SetTime(c.clock.Now().Add(400 * time.Millisecond))
	shown("when it is due", 2, 0)

	c.change(names[0], func(p *corev1.Pod) { p.Annotations[v1alpha1.AnnotationBusy] = "false" })
	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.MaxReplicas = new(int32(9)) })
	c.pass()
	if got := c.pool(); got.Status.ObservedGeneration != got.Generation {
		t.Errorf("generation %d is acknowledged, want %d at once", got.Status.ObservedGeneration, got.Generation)
	}
}

// TestLostAnswers holds that a unit is never made twice, though the answer to its creation got lost, and though the
// cache doesn't show it yet (defect 2).
func TestLostAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*v1alpha1.HotStandbyJobSpec)
		jobs   int
	}{
		"a Job per unit": {nil, 2},
		"a shared Job":   {shareJob, 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, tc.change)
			c.onMade = func(o client.Object) error {
				c.hidden[o.GetName()] = true // the watch lags
				return errLost
			}
			for range 5 { // the queue tries again
				if _, err := c.reconcile(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
			}
			if n := len(c.jobs()); n != tc.jobs {
				t.Fatalf("%d Jobs were made, want %d", n, tc.jobs)
			}
			c.onMade = nil
			for name := range c.hidden {
				delete(c.hidden, name) // one after the other, the watch tells of them
				c.pass()
			}
			c.startPods()
			c.pass()
			c.pass()
			if n, idle := len(c.jobs()), c.pool().Status.IdleCount; n != tc.jobs || idle != 2 {
				t.Errorf("%d Jobs and %d idle units, want %d and 2", n, idle, tc.jobs)
			}
		})
	}
}

// TestLostAnswersWhoseRepetitionFails: two of three Jobs were made and don't show up yet, and the next attempt ends with the
// first of them. The one after that must still know the other.
func TestLostAnswersWhoseRepetitionFails(t *testing.T) {
	for name, fault := range map[string]error{
		"no answer": errLost,
		"a refusal": apierrors.NewForbidden(jobsKind, "", errors.New("exceeded quota")),
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 3 })
			c.hidden = map[string]bool{}
			made := 0
			c.onMade = func(o client.Object) error {
				if made++; made == 1 {
					return nil
				}
				c.hidden[o.GetName()] = true
				return errLost
			}
			if err := c.fails(); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			c.onCreate = func(client.Object) error { return fault }
			if _, err := c.reconcile(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			c.onCreate, c.onMade = nil, nil
			c.clock.SetTime(c.clock.Now().Add(time.Minute))
			c.pass()
			c.hidden = nil
			c.pass()
			if n := len(c.jobs()); n != 3 {
				t.Errorf("%d Jobs, want 3", n)
			}
		})
	}
}

// TestRequestsThatNeverArrived is the other half: a unit whose creation got no answer, and wasn't made, is made.
func TestRequestsThatNeverArrived(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*v1alpha1.HotStandbyJobSpec)
		jobs   int
	}{
		"a Job per unit": {nil, 2},
		"a shared Job":   {shareJob, 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, tc.change)
			c.onCreate = func(client.Object) error { return errLost }
			if err := c.fails(); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			c.onCreate = nil
			c.pass()
			if n := len(c.jobs()); n != tc.jobs {
				t.Errorf("%d Jobs, want %d", n, tc.jobs)
			}
		})
	}
}

// TestOneErrorCostsOneTry guards against defect 7.
func TestOneErrorCostsOneTry(t *testing.T) {
	c := newCluster(t, func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 7 })
	n := 0
	c.onCreate = func(client.Object) error {
		if n++; n == 3 {
			return apierrors.NewInternalError(errors.New("no leader"))
		}
		return nil
	}
	if err := c.fails(); !apierrors.IsInternalError(err) {
		t.Fatal(err)
	}
	if n := len(c.jobs()); n != 2 {
		t.Errorf("%d Jobs: the batch of the error is finished, and no other begun", n)
	}
	c.pass()
	if n := len(c.jobs()); n != 7 {
		t.Errorf("%d Jobs after the next pass, want 7", n)
	}
}

// TestTakenNames guards against defect 24: a name that is taken costs neither the batch nor the unit.
func TestTakenNames(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*v1alpha1.HotStandbyJobSpec)
		jobs   int
	}{
		"a Job per unit": {nil, 2},
		"a shared Job":   {shareJob, 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, tc.change)
			c.must(c.server.Create(t.Context(), &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "demo-w-00001", Namespace: "games"}}))
			c.pass()
			if n := len(c.jobs()); n != 1+tc.jobs {
				t.Errorf("%d Jobs beside somebody else's, want %d", n-1, tc.jobs)
			}
		})
	}
}

func TestNameOfAnotherUnitIsTaken(t *testing.T) {
	c := newCluster(t, nil)
	c.fill()
	c.restart()
	suffixes := []string{"00001", "00002", "00003"} // the first two are there already
	c.r.Suffix = func() string {
		next := suffixes[0]
		suffixes = suffixes[1:]
		return next
	}
	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 3 })
	c.pass() // 00001 is taken, 00002 too
	c.pass()
	if n := len(c.jobs()); n != 3 {
		t.Errorf("%d Jobs, want 3", n)
	}
}

func TestFailedListStopsEverything(t *testing.T) {
	c := newCluster(t, nil)
	c.fill()
	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 0 })
	c.onList = func(list client.ObjectList) error {
		if _, ok := list.(*corev1.PodList); ok {
			return errLost
		}
		return nil
	}
	if err := c.fails(); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if got := c.asked(); len(got) > 0 {
		t.Errorf("requests though it isn't known what pods do: %v", got)
	}
}

func TestPausedPoolIsLeftAlone(t *testing.T) {
	c := newCluster(t, nil)
	c.fill()
	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.Paused, s.IdleTarget = true, 0 })
	c.pass()
	if diff := cmp.Diff([]string{"patch status of HotStandbyJob demo"}, c.asked()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if got := c.condition(v1alpha1.ConditionProgressing); got != "False Paused" {
		t.Errorf("Progressing is %s", got)
	}
}

func TestDeletedPoolIsLeftToTheGarbageCollector(t *testing.T) {
	c := newCluster(t, nil)
	c.fill()
	h := c.pool()
	h.Finalizers = []string{"foregroundDeletion"}
	c.must(c.server.Update(t.Context(), h))
	c.must(c.server.Delete(t.Context(), h))
	forgot := c.prober.forgot
	c.pass()
	if got := c.asked(); len(got) > 0 || c.prober.forgot != forgot+1 {
		t.Errorf("requests: %v; the prober has forgotten it %d times", got, c.prober.forgot-forgot)
	}
	h = c.pool()
	h.Finalizers = nil
	c.must(c.server.Update(t.Context(), h))
	c.pass() // it is gone
	if n := len(c.r.memories.byPool); n != 0 {
		t.Errorf("%d pools are remembered", n)
	}
}

// TestStatusOfAPoolThatIsGone holds that it is no error.
func TestStatusOfAPoolThatIsGone(t *testing.T) {
	c := newCluster(t, nil)
	c.onMade = func(client.Object) error {
		return client.IgnoreNotFound(c.server.Delete(context.Background(), demo(nil)))
	}
	c.pass()
}
