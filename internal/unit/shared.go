// SPDX-License-Identifier: Apache-2.0

package unit

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/paia-tech/hotstandbyjob/internal/pool"
)

// OfShared are the units of a Job whose indexes are units, each of so many pods.
func (v View) OfShared(job *batchv1.Job, pods []*corev1.Pod, size int) []Unit {
	if Over(job) {
		return []Unit{v.ofEnded(job, pods, size)}
	}
	byUnit := map[int][]*corev1.Pod{}
	for _, p := range pods {
		if index, err := strconv.Atoi(p.Annotations[batchv1.JobCompletionIndexAnnotation]); err == nil {
			byUnit[index/size] = append(byUnit[index/size], p)
		}
	}
	succeeded, failed := indexes(job.Status.CompletedIndexes), indexes(ptr.Deref(job.Status.FailedIndexes, ""))
	var units []Unit
	for i := range int(ptr.Deref(job.Spec.Completions, 0)) / size {
		u := v.of(job, byUnit[i], size)
		u.Name = SharedName(job, i)
		u.Current = v.current(job)
		u.Created = createdOf(job, byUnit[i])
		u.Index = i
		u.breakUp(i*size, size, failed)
		if ends(&u, i*size, size, succeeded, failed) && len(u.Pods) == 0 {
			continue // retired, or looked at long enough: nothing is left of it but its index
		}
		units = append(units, u)
	}
	return units
}

// ofEnded is the unit that a shared Job is once it has ended. The Job has failed when one of its indexes has, also by
// being retired: only its pods tell whether a standby unit failed, and how.
func (v View) ofEnded(job *batchv1.Job, pods []*corev1.Pod, size int) Unit {
	u := v.OfJob(job, nil, size)
	if u.Phase != pool.Failed {
		return u
	}
	u.Phase = pool.Succeeded
	for _, p := range pods {
		s := v.pod(p)
		switch {
		case s.phase != pool.Failed:
		case !s.wasBusy:
			u.Phase, u.WasBusy, u.Reason = pool.Failed, false, cmp.Or(s.reason, u.Reason)
			return u
		default:
			u.Phase, u.WasBusy, u.Reason = pool.Failed, true, cmp.Or(s.reason, u.Reason)
		}
	}
	if u.Phase == pool.Succeeded && job.Status.CompletedIndexes == "" { // all of it was retired: this is what is left
		u.Phase, u.Ended = pool.Retiring, time.Time{}
	}
	return u
}

// SharedName is the name of the unit at a place in a shared Job.
func SharedName(job *batchv1.Job, i int) string { return job.Name + "/" + strconv.Itoa(i) }

// ends marks a unit of a shared Job as ended when all its indexes have, and says whether they have.
func ends(u *Unit, first, size int, succeeded, failed map[int]bool) bool {
	bad := false
	for i := first; i < first+size; i++ {
		if !failed[i] && !succeeded[i] {
			return false
		}
		bad = bad || failed[i]
	}
	// Their last pods are looked at, not the phase: failed pods alone don't say that there will be no other.
	if slices.ContainsFunc(u.Pods, func(p *corev1.Pod) bool {
		return p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed
	}) {
		return false
	}
	if bad || u.Phase == pool.Failed { // or its pods ended well, but too soon
		u.Phase = pool.Failed
	} else {
		u.Phase = pool.Succeeded
	}
	u.Ended = u.Created
	for _, p := range u.Pods {
		if at := ended(p); at.After(u.Ended) {
			u.Ended = at
		}
	}
	return true
}

// breakUp marks a unit as failed of which an index has failed for good: it never will be whole. While another of its
// pods works, or may, it goes on.
func (u *Unit) breakUp(first, size int, failed map[int]bool) {
	if u.Phase != pool.Idle && u.Phase != pool.Starting || len(u.Pods) == 0 {
		return
	}
	for i := first; i < first+size; i++ {
		if failed[i] {
			u.Phase = pool.Failed
		}
	}
}

// createdOf is when a unit of a shared Job was made: the Job doesn't say, its first pod does.
func createdOf(job *batchv1.Job, pods []*corev1.Pod) time.Time {
	created := time.Time{}
	for _, p := range pods {
		if created.IsZero() || p.CreationTimestamp.Time.Before(created) {
			created = p.CreationTimestamp.Time
		}
	}
	if created.IsZero() {
		return job.CreationTimestamp.Time
	}
	return created
}
