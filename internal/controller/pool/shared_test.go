// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/object"
	"github.com/paia-tech/hotstandbyjob/internal/pool"
	"github.com/paia-tech/hotstandbyjob/internal/unit"
)

// TestSharedJobShrinks: pods go with a mark that keeps their index from being started again, and the tail is cut.
func TestSharedJobShrinks(t *testing.T) {
	c := newCluster(t, func(s *v1alpha1.HotStandbyJobSpec) { s.Layout, s.IdleTarget = v1alpha1.LayoutSharedJob, 4 })
	c.fill()
	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 1 })
	marked := map[string]bool{}
	c.onDelete = deleting(func(o client.Object) error {
		for _, condition := range c.pod(o.GetName()).Status.Conditions {
			marked[o.GetName()] = marked[o.GetName()] || condition.Type == object.PodRetired && condition.Status == corev1.ConditionTrue
		}
		return nil
	})
	c.pass()
	if diff := cmp.Diff(map[string]bool{"demo-w-00001-1": true, "demo-w-00001-2": true, "demo-w-00001-3": true}, marked); diff != "" {
		t.Errorf("pods that went with their mark (-want +got):\n%s", diff)
	}
	job := c.jobs()[0]
	if *job.Spec.Completions != 1 || *job.Spec.Parallelism != 1 {
		t.Errorf("the Job has %d completions and parallelism %d, want 1", *job.Spec.Completions, *job.Spec.Parallelism)
	}
	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 0 })
	c.pass()
	if n := len(c.jobs()); n != 0 {
		t.Errorf("%d Jobs are left of an empty pool", n)
	}
}

func TestSharedJobGrows(t *testing.T) {
	c := newCluster(t, shareJob)
	c.fill()
	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 5 })
	c.pass()
	if jobs := c.jobs(); len(jobs) != 1 || *jobs[0].Spec.Completions != 5 || *jobs[0].Spec.Parallelism != 5 {
		t.Errorf("%d Jobs, the first with %d completions; want one with 5", len(jobs), *jobs[0].Spec.Completions)
	}
	c.r.Indexes = 6
	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 8 })
	c.pass()
	if jobs := c.jobs(); len(jobs) != 2 || *jobs[1].Spec.Completions != 3 {
		t.Errorf("%d Jobs where one has no room for 3 more; want a second one with these", len(jobs))
	}
}

func TestSharedJobThatIsGoneIsNoRefusal(t *testing.T) {
	c := newCluster(t, shareJob)
	c.fill()
	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 3 })
	c.onPatch = func(o client.Object) error {
		if _, ok := o.(*batchv1.Job); ok {
			return apierrors.NewNotFound(jobsKind, o.GetName())
		}
		return nil
	}
	c.pass()
	if got := c.condition(v1alpha1.ConditionDegraded); got != "False AsExpected" {
		t.Errorf("Degraded is %s", got)
	}
}

// The Job controller writes the status of a shared Job whenever a pod of it ends, as those do that are retired.
func TestSharedJobIsCutThoughItsStatusChanges(t *testing.T) {
	c := newCluster(t, func(s *v1alpha1.HotStandbyJobSpec) { s.Layout, s.IdleTarget = v1alpha1.LayoutSharedJob, 3 })
	c.fill()
	completions := func(when string, want int32) {
		t.Helper()
		if got := *c.jobs()[0].Spec.Completions; got != want {
			t.Errorf("%s: %d completions, want %d", when, got, want)
		}
	}
	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 1 })
	c.onPatch = func(o client.Object) error {
		if _, ok := o.(*batchv1.Job); !ok {
			return nil
		}
		job := &c.jobs()[0] // just before ours
		job.Status.FailedIndexes = new("1,2")
		return c.server.Status().Update(t.Context(), job)
	}
	c.pass()
	completions("another write came between", 3)
	c.onPatch = nil
	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.Paused = true })
	c.pass()
	completions("paused", 3)
	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.Paused = false })
	c.pass()
	completions("a later pass", 1)
}

// TestCut is about which indexes are taken from a shared Job's tail, and when it goes as a whole.
func TestCut(t *testing.T) {
	type place struct {
		phase pool.Phase
		gone  bool // just retired
		none  bool // nothing is left of it
	}
	idle, gone, none := place{phase: pool.Idle}, place{phase: pool.Idle, gone: true}, place{none: true}
	failed, done := place{phase: pool.Failed}, place{phase: pool.Succeeded}
	for name, tc := range map[string]struct {
		size   int
		places []place
		want   int32 // completions; -1: the Job is deleted
	}{
		"the last goes":                               {1, []place{idle, gone}, 1},
		"one in the middle leaves a hole":             {1, []place{idle, gone, idle}, 3},
		"all go":                                      {1, []place{gone, gone}, -1},
		"all go but one that is to be seen":           {1, []place{failed, gone}, 2},
		"ended ones behind the last go with the tail": {1, []place{idle, done, gone, failed}, 1},
		"ended ones before the last stay":             {1, []place{failed, idle, gone}, 2},
		"units of three indexes":                      {3, []place{idle, gone}, 3},
		"what wasn't cut before":                      {1, []place{idle, none}, 1},
		"what is to be seen stays before it":          {1, []place{idle, failed, none}, 2},
		"it would be complete":                        {1, []place{none}, 1},
		"a hole from before":                          {1, []place{none, idle}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, func(s *v1alpha1.HotStandbyJobSpec) {
				s.Layout, s.JobTemplate.Parallelism = v1alpha1.LayoutSharedJob, new(int32(tc.size))
			})
			job, err := c.r.sharedJob(c.pool(), len(tc.places))
			c.must(err)
			job.Name = "shared"
			c.must(c.server.Create(t.Context(), job))
			s := &snapshot{pool: c.pool(), jobs: []*batchv1.Job{job, {}}}
			var retired []unit.Unit
			for i, p := range tc.places {
				if p.none {
					continue
				}
				u := unit.Unit{Job: job, Unit: pool.Unit{Name: unit.SharedName(job, i), Index: i, Phase: p.phase}}
				s.units = append(s.units, u)
				if p.gone {
					retired = append(retired, u)
				}
			}
			c.must(c.r.cut(t.Context(), s, retired))
			got := int32(-1)
			if jobs := c.jobs(); len(jobs) > 0 {
				got = ptr.Deref(jobs[0].Spec.Completions, -2)
			}
			if got != tc.want {
				t.Errorf("%d completions, want %d", got, tc.want)
			}
		})
	}
}

func TestUnitSize(t *testing.T) {
	job := func(annotation string, parallelism *int32) *batchv1.Job {
		j := &batchv1.Job{Spec: batchv1.JobSpec{Parallelism: parallelism}}
		if annotation != "" {
			j.Annotations = map[string]string{annotationUnitSize: annotation}
		}
		return j
	}
	for name, tc := range map[string]struct {
		job  *batchv1.Job
		want int
	}{
		"a Job's parallelism":      {job("", new(int32(3))), 3},
		"1 where it has none":      {job("", nil), 1},
		"1 where it is 0":          {job("", new(int32(0))), 1},
		"what a shared Job says":   {job("3", new(int32(12))), 3},
		"1 where it says nonsense": {job("many", new(int32(12))), 1},
		"1 where it says 0":        {job("0", new(int32(12))), 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := unitSize(tc.job); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}
