// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/object"
	"github.com/paia-tech/hotstandbyjob/internal/pool"
	"github.com/paia-tech/hotstandbyjob/internal/unit"
)

// annotationUnitSize is on shared Jobs: how many indexes a unit has. The spec's parallelism may have changed since.
const annotationUnitSize = "hsj.paia.tech/unit-size"

// shared says whether a Job's indexes are units; not where there is no Job.
func shared(job *batchv1.Job) bool { return job != nil && job.Annotations[annotationUnitSize] != "" }

// unitSize is how many pods a unit of a Job has. It need not be what the spec says now.
func unitSize(job *batchv1.Job) int {
	if shared(job) {
		if size, err := strconv.Atoi(job.Annotations[annotationUnitSize]); err == nil && size > 0 {
			return size
		}
		return 1
	}
	return max(1, int(ptr.Deref(job.Spec.Parallelism, 1)))
}

// sharedJob is a shared Job with room for so many units.
func (r *Reconciler) sharedJob(h *v1alpha1.HotStandbyJob, units int) (*batchv1.Job, error) {
	job, err := object.SharedJob(h, r.entrypoint(), int32(units))
	if err != nil {
		return nil, err
	}
	job.Annotations = map[string]string{annotationUnitSize: strconv.Itoa(int(object.Parallelism(h)))}
	return job, nil
}

// grow makes n units by giving the newest shared Job so many more indexes, or another Job, if there is none to grow.
func (r *Reconciler) grow(ctx context.Context, s *snapshot, n int) (made int, err error) {
	size := int(object.Parallelism(s.pool))
	job := s.growing()
	if job == nil || int(ptr.Deref(job.Spec.Completions, 0))+n*size > int(r.Indexes) {
		n = min(n, max(1, int(r.Indexes)/size))
		return r.createShared(ctx, s, n)
	}
	if err := r.resize(ctx, job, int(ptr.Deref(job.Spec.Completions, 0))+n*size); err != nil {
		return 0, client.IgnoreNotFound(err) // gone meanwhile, which is no refusal: the watch will say so
	}
	return n, nil
}

// createShared makes a shared Job. One name at a time is tried, so that a Job whose creation got no answer is found.
func (r *Reconciler) createShared(ctx context.Context, s *snapshot, units int) (int, error) {
	job, err := r.sharedJob(s.pool, units)
	if err != nil {
		s.memory.admission.refusal = impossible(err)
		return 0, nil
	}
	name, err := r.createAs(ctx, s, job, r.names(s, 1)[0])
	if err == nil {
		return units, nil
	}
	s.memory.unsure = append(s.memory.unsure, name)
	return 0, firstReal([]error{err})
}

// growing is the shared Job that takes new units: the newest of the current revision that has not ended.
func (s *snapshot) growing() *batchv1.Job {
	var newest *batchv1.Job
	for _, job := range s.jobs {
		if !shared(job) || unit.Over(job) || job.Labels[v1alpha1.LabelRevision] != s.view.Revision {
			continue
		}
		if newest == nil || cmp.Or(job.CreationTimestamp.Compare(newest.CreationTimestamp.Time), cmp.Compare(job.Name, newest.Name)) > 0 {
			newest = job
		}
	}
	return newest
}

// cut takes from the tail of shared Jobs the indexes of units that are gone, with those behind them that have ended, and the
// indexes of which nothing is left: where the cut of a pass before didn't come about. A Job that has no other is deleted,
// unless ended units in it shall still be looked at. A Job that has changed meanwhile, as it does whenever a pod of it ends,
// is the next pass's.
func (r *Reconciler) cut(ctx context.Context, s *snapshot, gone []unit.Unit) error {
	if s.pool.Spec.Paused {
		return nil
	}
	var errs []error
	for _, job := range s.jobs {
		if !shared(job) {
			continue
		}
		live, places := s.tail(job, gone)
		retired := slices.ContainsFunc(gone, func(u unit.Unit) bool { return u.Job == job })
		if retired && places == 0 {
			errs = append(errs, r.delete(ctx, job, client.Preconditions{UID: &job.UID, ResourceVersion: &job.ResourceVersion},
				client.PropagationPolicy("Background")))
			continue
		}
		if retired {
			places = live
		}
		// Without any completions it would be complete.
		if size := unitSize(job); places > 0 && places*size < int(ptr.Deref(job.Spec.Completions, 0)) && !unit.Over(job) {
			if err := r.resize(ctx, job, places*size); !apierrors.IsConflict(err) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// tail is how many places of a shared Job there are up to the last unit that lives, and up to the last that is there.
func (s *snapshot) tail(job *batchv1.Job, gone []unit.Unit) (live, places int) {
	for _, u := range s.units {
		if u.Job != job || slices.ContainsFunc(gone, func(g unit.Unit) bool { return g.Name == u.Name }) {
			continue
		}
		places = max(places, u.Index+1)
		if u.Phase != pool.Failed && u.Phase != pool.Succeeded {
			live = max(live, u.Index+1)
		}
	}
	return live, places
}

// resize sets a shared Job's completions, and parallelism with it: only together can they be changed.
func (r *Reconciler) resize(ctx context.Context, job *batchv1.Job, completions int) error {
	changed := job.DeepCopy()
	changed.Spec.Completions = new(int32(completions))
	changed.Spec.Parallelism = new(int32(completions))
	patch := client.MergeFromWithOptions(job, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, changed, patch); err != nil {
		return fmt.Errorf("resize Job %s to %d completions: %w", job.Name, completions, err)
	}
	return nil
}
