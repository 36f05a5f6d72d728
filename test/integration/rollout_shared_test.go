// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"testing"

	"github.com/onsi/gomega"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/condition"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

func TestNewTemplateMakesANewSharedJobWhileTheOldOneFinishes(t *testing.T) {
	t.Parallel()
	e := kit.New(t)
	e.Operator()
	e.Guard("renewed", 5)
	e.Create(kit.Pool("renewed").Idle(3).Max(5).Layout(v1alpha1.LayoutSharedJob).With(version("1")).Obj())
	e.AwaitStatus("renewed", 3, 0)
	old, pods := onlyJob(e, "renewed"), inOrder(e, "renewed")
	e.Annotate(&pods[0], "true")
	e.Annotate(&pods[2], "true")
	e.AwaitStatus("renewed", 3, 2)

	e.Update("renewed", version("2"))
	awaitVersions(e, "renewed", map[string]int{"1": 2, "2": 3})
	e.AwaitStatus("renewed", 3, 2)
	jobs := e.Jobs("renewed")
	if len(jobs) != 2 {
		t.Fatalf("there are %d Jobs, an old one and a new one were expected", len(jobs))
	}
	for _, job := range jobs {
		if n := *job.Spec.Completions; n != 3 {
			t.Errorf("Job %s has %d indexes, 3 were expected: the old one up to its last busy one, the new one all that are idle", job.Name, n)
		}
	}
	mustLive(e, "renewed", pods[0], pods[2])
	finish(e, &pods[0], 0)
	finish(e, &pods[2], 0)
	awaitVersions(e, "renewed", map[string]int{"2": 3})
	e.Await("nothing runs in the old Job", func(g gomega.Gomega) {
		for _, job := range e.Jobs("renewed") {
			if job.UID == old.UID {
				g.Expect(job.Status.Active).To(gomega.BeZero())
				g.Expect(job.Status.Conditions).NotTo(gomega.BeEmpty())
			}
		}
	})
	e.AwaitStatus("renewed", 3, 0)
	mustStay(e, "renewed")
}

func TestPausedPoolDoesNothingButReport(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		e.Operator()
		e.Guard("paused", 5)
		e.Create(kit.Pool("paused").Idle(3).Max(5).Delay(0).Layout(layout).With(version("1")).Obj())
		e.AwaitStatus("paused", 3, 0)
		pods := inOrder(e, "paused")
		e.Update("paused", func(s *v1alpha1.HotStandbyJobSpec) {
			s.Paused = true
			version("2")(s)
		})
		mustStay(e, "paused")
		e.Annotate(&pods[1], "true")
		e.AwaitStatus("paused", 2, 1) // it is still told what is
		mustStay(e, "paused")
		idleTarget(e, "paused", 0)
		mustStay(e, "paused")
		e.Await("it says that it is paused", func(g gomega.Gomega) {
			c := conditionOf(e.Get("paused"), v1alpha1.ConditionProgressing)
			g.Expect(c.Reason).To(gomega.Equal(condition.ReasonPaused))
		})

		e.Update("paused", func(s *v1alpha1.HotStandbyJobSpec) { s.Paused, s.IdleTarget = false, 4 })
		awaitVersions(e, "paused", map[string]int{"1": 1, "2": 4})
		e.AwaitStatus("paused", 4, 1)
		mustLive(e, "paused", pods[1])
	})
}

// Defect 16: a pod that ran but was not ready yet was reported as idle.
func TestPodThatRunsButIsNotReadyIsNotIdle(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		needNode(e)
		e.Operator()
		e.Guard("cold", 3)
		e.Create(kit.Pool("cold").Real("run", "-start=1h").Idle(3).Layout(layout).With(withReadiness).Obj())
		e.Await("all pods run", func(g gomega.Gomega) {
			pods := e.Pods("cold")
			g.Expect(pods).To(gomega.HaveLen(3))
			for i := range pods {
				g.Expect(kit.Running(&pods[i])).To(gomega.BeTrue())
			}
			g.Expect(e.Get("cold").Status.ActiveCount).To(gomega.Equal(int32(3)))
		})
		passes(e, "cold", 2)
		e.AwaitStatus("cold", 0, 0)
		if got := e.Get("cold").Status.StartingCount; got != 3 {
			t.Errorf("%d units are starting, 3 should be", got)
		}
		pods := inOrder(e, "cold")
		tell(e, &pods[0], "/idle") // it is warm now
		awaitState(e, &pods[0], v1alpha1.PodIdle)
		e.AwaitStatus("cold", 1, 0)
		awaitState(e, &pods[1], v1alpha1.PodStarting)
		tell(e, &pods[1], "/idle")
		tell(e, &pods[2], "/idle")
		e.AwaitStatus("cold", 3, 0)
	})
}
