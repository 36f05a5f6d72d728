// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"testing"

	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/condition"
	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/lab"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// onlyJob is a pool's shared Job.
func onlyJob(e *kit.Env, pool string) batchv1.Job {
	e.T.Helper()
	jobs := e.Jobs(pool)
	if len(jobs) != 1 {
		e.T.Fatalf("pool %s has %d Jobs, one was expected", pool, len(jobs))
	}
	return jobs[0]
}

// awaitCompletions waits until a pool's only Job has so many indexes.
func awaitCompletions(e *kit.Env, pool string, n int) {
	e.T.Helper()
	e.Await("completions", func(g gomega.Gomega) {
		jobs := e.Jobs(pool)
		g.Expect(jobs).To(gomega.HaveLen(1))
		g.Expect([]int32{*jobs[0].Spec.Completions, *jobs[0].Spec.Parallelism}).To(gomega.Equal([]int32{int32(n), int32(n)}))
	})
}

// awaitIndexes waits until a pool has live pods at these indexes and at no others.
func awaitIndexes(e *kit.Env, pool string, want ...int) {
	e.T.Helper()
	e.Await("live indexes", func(g gomega.Gomega) {
		live := []int{}
		for _, p := range inOrder(e, pool) {
			live = append(live, indexOf(&p))
		}
		g.Expect(live).To(gomega.Equal(want))
	})
}

func TestSharedJobGrowsByPatchingOneJobAndShrinksAtItsTail(t *testing.T) {
	t.Parallel()
	e := kit.New(t)
	e.Operator()
	guard := e.Guard("grows", 7)
	e.Create(kit.Pool("grows").Idle(3).Delay(0).Layout(v1alpha1.LayoutSharedJob).Obj())
	e.AwaitStatus("grows", 3, 0)
	job := onlyJob(e, "grows")
	pods := inOrder(e, "grows")
	e.Annotate(&pods[1], "true")
	e.AwaitStatus("grows", 3, 1)
	awaitCompletions(e, "grows", 4)
	idleTarget(e, "grows", 6)
	e.AwaitStatus("grows", 6, 1)
	awaitCompletions(e, "grows", 7)
	idleTarget(e, "grows", 1)
	e.AwaitStatus("grows", 1, 1)
	awaitIndexes(e, "grows", 0, 1)
	awaitCompletions(e, "grows", 2)
	awaitGone(e, "grows", 2)  // an index whose pod is on its way out would be a hole
	idleTarget(e, "grows", 4) // at the same indexes again
	e.AwaitStatus("grows", 4, 1)
	awaitIndexes(e, "grows", 0, 1, 2, 3, 4)
	mustLive(e, "grows", pods[1])
	if onlyJob(e, "grows").UID != job.UID || guard.Made() != 1 {
		t.Errorf("%d Jobs were made, one was to grow", guard.Made())
	}
}

// What is retired before a busy index stays a hole: the Job controller must not start it again.
func TestSharedJobLeavesHolesBeforeBusyIndexes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		pool *kit.PoolBuilder
		busy func(e *kit.Env, p *corev1.Pod)
	}{
		"simulated": {kit.Pool("holes"), func(e *kit.Env, p *corev1.Pod) { e.Annotate(p, "true") }},
		"real": {
			kit.Pool("holes").Real("run", "-busy-by=file").Probe(byFile()),
			func(e *kit.Env, p *corev1.Pod) { tell(e, p, "/busy") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := kit.New(t)
			if name == "real" {
				needNode(e)
			}
			e.Operator()
			guard := e.Guard("holes", 6)
			e.Create(tc.pool.Idle(5).Delay(0).Layout(v1alpha1.LayoutSharedJob).Obj())
			e.AwaitStatus("holes", 5, 0)
			pods := inOrder(e, "holes")
			tc.busy(e, &pods[4])
			e.AwaitStatus("holes", 5, 1)
			idleTarget(e, "holes", 1)
			e.AwaitStatus("holes", 1, 1)
			awaitIndexes(e, "holes", 0, 4)
			e.Await("the holes have failed for good", func(g gomega.Gomega) {
				job := onlyJob(e, "holes")
				g.Expect(job.Status.FailedIndexes).NotTo(gomega.BeNil())
				g.Expect(*job.Spec.Completions).To(gomega.Equal(int32(5)), "index 5 is cut off")
				g.Expect(*job.Status.FailedIndexes).To(gomega.Equal("1-3"))
				g.Expect(job.Status.Active).To(gomega.Equal(int32(2)))
			})
			mustStay(e, "holes")

			awaitGone(e, "holes", 2)  // an index whose pod is on its way out would be a hole
			idleTarget(e, "holes", 3) // what comes is behind the holes
			e.AwaitStatus("holes", 3, 1)
			awaitIndexes(e, "holes", 0, 4, 5, 6)
			mustLive(e, "holes", pods[0], pods[4])
			if h := e.Get("holes"); guard.Made() != 1 || h.Status.ConsecutiveFailures != 0 {
				t.Errorf("%d Jobs were made, %d failures counted: retired pods are no failures", guard.Made(), h.Status.ConsecutiveFailures)
			}
		})
	}
}

func TestSharedJobReplacesFinishedAndFailedIndexes(t *testing.T) {
	t.Parallel()
	e := kit.New(t)
	e.Operator()
	guard := e.Guard("ends", 6)
	e.Create(kit.Pool("ends").Idle(3).Max(6).Layout(v1alpha1.LayoutSharedJob).With(func(s *v1alpha1.HotStandbyJobSpec) {
		s.FailedUnitsHistoryLimit = new(int32(5))
	}).Obj())
	e.AwaitStatus("ends", 3, 0)
	pods := inOrder(e, "ends")
	e.Annotate(&pods[0], "true")
	e.Annotate(&pods[1], "true")
	e.AwaitStatus("ends", 3, 2)
	finish(e, &pods[0], 0)
	finish(e, &pods[1], 3)
	e.AwaitStatus("ends", 3, 0)
	awaitIndexes(e, "ends", 2, 3, 4)

	annotate(e, &pods[2], lab.ExitAnnotation, "7") // before it got work: a failure of the pool
	awaitDegraded(e, "ends", condition.ReasonUnitsFailing, "exit code 7")
	e.AwaitStatus("ends", 3, 0)
	awaitIndexes(e, "ends", 3, 4, 5)
	e.Await("what ended is counted", func(g gomega.Gomega) {
		job := onlyJob(e, "ends")
		g.Expect(job.Status.CompletedIndexes).To(gomega.Equal("0"))
		g.Expect(job.Status.FailedIndexes).NotTo(gomega.BeNil())
		g.Expect(*job.Status.FailedIndexes).To(gomega.Equal("1,2"))
	})
	if guard.Made() != 1 {
		t.Errorf("%d Jobs were made, one was expected", guard.Made())
	}
}

func TestSharedJobIsSucceededByAnotherBeforeItsIndexesRunOut(t *testing.T) {
	t.Parallel()
	e := kit.New(t)
	e.Operator(func(c *config.Operator) { c.SharedJobIndexes = 12 })
	e.Guard("limit", 9)
	e.Create(kit.Pool("limit").Idle(4).Max(9).Layout(v1alpha1.LayoutSharedJob).Obj())
	e.AwaitStatus("limit", 4, 0)
	first := onlyJob(e, "limit")
	last := corev1.Pod{}
	for len(e.Jobs("limit")) < 2 {
		last = inOrder(e, "limit")[0]
		e.Annotate(&last, "true")
		e.AwaitStatus("limit", 4, 1)
		if len(e.Jobs("limit")) == 2 {
			break
		}
		finish(e, &last, 0)
		e.AwaitStatus("limit", 4, 0)
	}
	for _, job := range e.Jobs("limit") {
		if n := *job.Spec.Completions; n > 12 || (job.UID == first.UID) != (n == 12) {
			t.Errorf("Job %s has %d indexes; the first shall have all of its 12, the other few", job.Name, n)
		}
	}
	mustLive(e, "limit", last)

	// Its units go on, and it ends with them.
	for range 4 {
		finish(e, &last, 0)
		e.AwaitStatus("limit", 4, 0)
		for _, p := range inOrder(e, "limit") {
			if p.Labels[batchv1.JobNameLabel] == first.Name {
				last = p
			}
		}
		if last.Labels[v1alpha1.LabelState] == string(v1alpha1.PodBusy) {
			break // that was the one before
		}
		e.Annotate(&last, "true")
		e.AwaitStatus("limit", 4, 1)
	}
	e.Await("the first Job has ended or is gone", func(g gomega.Gomega) {
		for _, job := range e.Jobs("limit") {
			if job.UID == first.UID {
				g.Expect(job.Status.Active).To(gomega.BeZero())
				g.Expect(job.Status.Conditions).NotTo(gomega.BeEmpty())
			}
		}
	})
	e.AwaitStatus("limit", 4, 0)
	awaitPods(e, "limit", 4)
}

func TestSharedJobGoesToNothingAndBack(t *testing.T) {
	t.Parallel()
	e := kit.New(t)
	e.Operator()
	e.Guard("zero", 3)
	e.Create(kit.Pool("zero").Idle(3).Delay(0).Layout(v1alpha1.LayoutSharedJob).Obj())
	for range 2 {
		e.AwaitStatus("zero", 3, 0)
		idleTarget(e, "zero", 0)
		e.AwaitStatus("zero", 0, 0)
		awaitPods(e, "zero", 0)
		// Also where its Job has seen the last index go before it was deleted, and has ended by that.
		e.Await("no Job is left", func(g gomega.Gomega) { g.Expect(e.Jobs("zero")).To(gomega.BeEmpty()) })
		idleTarget(e, "zero", 3)
	}
	e.AwaitStatus("zero", 3, 0)
	awaitPods(e, "zero", 3)
}
