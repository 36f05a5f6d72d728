// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

const (
	tenMinutes = 10 * time.Minute

	// longest is more than the longest time between two attempts.
	longest = 5*time.Minute + 10*time.Second
)

// Defect 3: the Python operator made as many Jobs again every 10 seconds, past maxReplicas.
func TestTenMinutesOfTroubleMakeFewJobs(t *testing.T) {
	t.Parallel()
	for name, tr := range troubles() {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
				e := kit.New(t)
				if tr.begin != nil {
					tr.begin(e)
				}
				history := e.History(troubled)
				s := e.Stepper()
				e.Create(tr.pool(layout))
				s.Elapse(troubled, tenMinutes, func(g gomega.Gomega) { tr.done(e, g) })

				expectCondition(gomega.NewWithT(t), e.Get(troubled), tr.condition, "True", tr.reason, tr.words...)
				if made := history.Made(); made != tr.jobs[layout] {
					t.Errorf("%d Jobs were made in ten minutes, want %d", made, tr.jobs[layout])
				}
				tr.end(e)
				recovered := func(g gomega.Gomega) { g.Expect(running(e, troubled)).To(gomega.Equal(places(e, troubled))) }
				if !tr.atOnce {
					s.Elapse(troubled, longest, recovered)
				}
				s.Settle(troubled, recovered)
				expectHealthy(gomega.NewWithT(t), e.Get(troubled), wanted)
				if most := history.Most(); most != wanted {
					t.Errorf("at most %d units lived at a time, want %d", most, wanted)
				}
			})
		})
	}
}

// Defect 8: the Python operator replaced what crashed every 10 seconds, for ever. Twenty units that crash together count once; after that one at a time is tried, after 10, 20, 40, 80 and 160 seconds,
// and a sixth time only after another 300.
func TestTenMinutesOfCrashesMakeFewJobs(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		history := e.History(troubled)
		s := e.Stepper()
		e.Create(trouble{}.pool(layout))
		s.Elapse(troubled, tenMinutes, func(g gomega.Gomega) {
			for _, p := range e.Pods(troubled) {
				e.Finish(&p, 7)
			}
			allFailed(e)(g)
		})
		h := e.Get(troubled)
		expectCondition(gomega.NewWithT(t), h, v1alpha1.ConditionDegraded, "True", "UnitsFailing", "failed before it got work", "exit code 7")
		expectCondition(gomega.NewWithT(t), h, v1alpha1.ConditionProgressing, "False", "BackOff")
		want := map[v1alpha1.Layout]int{v1alpha1.LayoutJobPerUnit: wanted + 5, v1alpha1.LayoutSharedJob: 1 + 5}[layout]
		if made := history.Made(); made != want {
			t.Errorf("%d Jobs were made in ten minutes, want %d", made, want)
		}
		if h.Status.ConsecutiveFailures != 6 {
			t.Errorf("%d failures in a row are told, want 6", h.Status.ConsecutiveFailures)
		}
		if kept := len(e.Jobs(troubled)); kept != 1 {
			t.Errorf("%d failed Jobs are kept to look at, want 1", kept)
		}

		s.Elapse(troubled, longest+2*time.Minute, allLiveRun(e)) // and a minute for the first unit to prove itself
		expectHealthy(gomega.NewWithT(t), e.Get(troubled), wanted)
		if most := history.Most(); most != wanted {
			t.Errorf("at most %d units lived at a time, want %d", most, wanted)
		}
	})
}

// Defect 3: as above, for Jobs that have no pods because they shall have none.
func TestTenMinutesOfSuspensionMakeFewJobs(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		history := e.History(troubled)
		s := e.Stepper()
		e.Create(trouble{spec: func(spec *v1alpha1.HotStandbyJobSpec) { spec.JobTemplate.Suspend = new(true) }}.pool(layout))
		s.Elapse(troubled, tenMinutes, func(g gomega.Gomega) {
			for _, job := range e.Jobs(troubled) {
				g.Expect(hasCondition(job, batchv1.JobSuspended)).To(gomega.BeTrue())
			}
		})
		h := e.Get(troubled)
		expectCondition(gomega.NewWithT(t), h, v1alpha1.ConditionProgressing, "False", "Suspended", "suspend")
		expectCondition(gomega.NewWithT(t), h, v1alpha1.ConditionReady, "False", "IdleTargetNotMet")
		want := map[v1alpha1.Layout]int{v1alpha1.LayoutJobPerUnit: wanted, v1alpha1.LayoutSharedJob: 1}[layout]
		if made := history.Made(); made != want {
			t.Errorf("%d Jobs were made in ten minutes, want %d", made, want)
		}
		e.Update(troubled, func(spec *v1alpha1.HotStandbyJobSpec) { spec.JobTemplate.Suspend = nil })
		s.Elapse(troubled, time.Minute, func(g gomega.Gomega) { g.Expect(suspendedJobsAndPods(e)).To(gomega.BeTrue()) })
		expectHealthy(gomega.NewWithT(t), e.Get(troubled), wanted)
		if most := history.Most(); most != wanted {
			t.Errorf("at most %d units lived at a time, want %d", most, wanted)
		}
	})
}

// suspendedJobsAndPods says whether every Job either is suspended or has its pods.
func suspendedJobsAndPods(e *kit.Env) bool {
	want := 0
	for _, job := range e.Jobs(troubled) {
		if !*job.Spec.Suspend {
			want += int(*job.Spec.Completions)
		}
	}
	return running(e, troubled) == want
}

// Jobs themselves can be what there are too many of.
func TestTenMinutesOfAQuotaOfJobsMakeFewJobs(t *testing.T) {
	t.Parallel()
	e := kit.New(t)
	quota(e, "count/jobs.batch", 5)
	history := e.History(troubled)
	requests := &kit.Requests{}
	s := e.Through(requests.Wrap).Stepper()
	e.Create(trouble{}.pool(v1alpha1.LayoutJobPerUnit))
	all := func(g gomega.Gomega) { g.Expect(running(e, troubled)).To(gomega.Equal(places(e, troubled))) }
	s.Elapse(troubled, tenMinutes, all)
	expectCondition(gomega.NewWithT(t), e.Get(troubled), v1alpha1.ConditionDegraded, "True", "Refused", "exceeded quota: few", "limited: count/jobs.batch=5")
	if made := history.Made(); made != 5 {
		t.Errorf("%d Jobs were made, want 5", made)
	}
	// 1, 2 and 4 at first; then one, with the question before it, after 10, 20, 40, 80, 160 and 300 seconds.
	if n := posts(requests.Seen(0)); n > 7+6 {
		t.Errorf("the server was sent %d Jobs in ten minutes, want at most 13", n)
	}
	quota(e, "count/jobs.batch", wanted+1) // one more, so that the server can be asked
	s.Elapse(troubled, longest, all)
	expectHealthy(gomega.NewWithT(t), e.Get(troubled), wanted)
}

// posts counts the Jobs that were sent, but for dry runs.
func posts(requests []string) int {
	n := 0
	for _, r := range requests {
		if strings.HasPrefix(r, "POST ") && strings.HasSuffix(r, "/jobs") {
			n++
		}
	}
	return n
}

// allFailed says that all of the pool's Jobs have failed.
func allFailed(e *kit.Env) func(gomega.Gomega) {
	return func(g gomega.Gomega) {
		for _, job := range e.Jobs(troubled) {
			g.Expect(hasCondition(job, batchv1.JobFailed)).To(gomega.BeTrue())
		}
	}
}

// allLiveRun says that all units of the pool's Jobs that haven't failed are running.
func allLiveRun(e *kit.Env) func(gomega.Gomega) {
	return func(g gomega.Gomega) {
		live := 0
		for _, job := range e.Jobs(troubled) {
			if !hasCondition(job, batchv1.JobFailed) {
				live += int(*job.Spec.Completions)
			}
		}
		g.Expect(running(e, troubled)).To(gomega.Equal(live))
	}
}
