// SPDX-License-Identifier: Apache-2.0

// Package unit reads the units of a pool from its Jobs and pods, or from its pods alone, as they are: what each is doing, and what its pods
// should be labelled. It is pure: the objects, the signals and the time are given to it.
package unit

import (
	"cmp"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/object"
	"github.com/paia-tech/hotstandbyjob/internal/pool"
)

// Unit is a unit of a pool with its objects.
type Unit struct {
	pool.Unit

	Job    *batchv1.Job  // nil: its one pod is all of it
	Pods   []*corev1.Pod // those that aren't being deleted
	Labels []Label       // what its pods should be labelled, where they aren't
	Reason string        // why it is Unknown or Failed, or what keeps it from starting
	NoPods bool          // its pods have not been made
	Wake   time.Duration // when to look again though nothing happens; 0: no need
}

// Label is the state that a pod should be labelled with, and whether it may be moved to another node.
type Label struct {
	Pod     *corev1.Pod
	State   v1alpha1.PodState
	Movable bool
}

// OfJob is the unit that a Job of its own is, of so many pods.
func (v View) OfJob(job *batchv1.Job, pods []*corev1.Pod, size int) Unit {
	u := v.of(job, pods, size)
	u.Name = job.Name
	u.Current = v.current(job)
	u.Created = job.CreationTimestamp.Time
	switch done := Finished(job); {
	case job.DeletionTimestamp != nil:
		u.Phase = pool.Terminating
	case done == nil:
	case done.Type == batchv1.JobComplete || done.Type == batchv1.JobSuccessCriteriaMet:
		u.Ended = done.LastTransitionTime.Time
		if u.Phase != pool.Failed { // its pods ended well, but too soon
			u.Phase = pool.Succeeded
		}
	default:
		u.Phase, u.Ended = pool.Failed, done.LastTransitionTime.Time
		u.Reason = cmp.Or(u.Reason, done.Message)
		if done.Reason == batchv1.JobReasonBackoffLimitExceeded && len(u.Pods) == 0 {
			// A pod that fails by itself stays until its Job is deleted. These were deleted: by somebody, for a node that is
			// drained, or by an operator that ended before it could delete their Job, too. That says nothing against the
			// template.
			u.WasBusy, u.Reason = true, "its pods were deleted"
		}
	}
	return u
}

// current says whether a Job or pod was made from the current revision. One that this operator didn't make has none, and
// is taken for current: whatever it is, nobody asked to replace it.
func (v View) current(o metav1.Object) bool {
	r, ok := o.GetLabels()[v1alpha1.LabelRevision]
	return !ok || r == v.Revision
}

// of reads a unit from its pods.
func (v View) of(job *batchv1.Job, pods []*corev1.Pod, size int) Unit {
	u := Unit{Job: job}
	states := make([]podState, 0, len(pods))
	fenced := false
	for _, p := range pods {
		s := v.pod(p)
		if s.phase == pool.Terminating {
			fenced = fenced || p.Labels[v1alpha1.LabelState] == string(v1alpha1.PodRetiring)
			u.WasBusy = u.WasBusy || s.wasBusy // its Job may fail by this: that isn't a standby unit's failure
			continue
		}
		states = append(states, s)
		u.Pods = append(u.Pods, p)
		u.add(s)
	}
	u.Phase = phaseOf(states, size, fenced, oneTry(job))
	u.NoPods = len(pods) == 0
	if u.Phase != pool.Failed && u.Phase != pool.Succeeded {
		u.Ended = time.Time{}
	}
	for i, p := range u.Pods {
		u.label(p, states[i].phase, v.ManagesEviction)
		u.Cordoned = u.Cordoned || v.Nodes[p.Spec.NodeName].Cordoned
	}
	return u
}

// oneTry says whether a Job doesn't start a pod again that has failed.
func oneTry(job *batchv1.Job) bool {
	limit := job.Spec.BackoffLimit
	if job.Spec.BackoffLimitPerIndex != nil {
		limit = job.Spec.BackoffLimitPerIndex
	}
	return ptr.Deref(limit, 6) == 0
}

// add takes the times and reasons of a pod into its unit.
func (u *Unit) add(s podState) {
	u.Running = u.Running || s.running
	u.WasBusy = u.WasBusy || s.wasBusy || s.phase == pool.Busy
	u.Reason = cmp.Or(u.Reason, s.reason)
	u.Wake = pool.Sooner(u.Wake, s.wake)
	if s.warm.After(u.Warm) {
		u.Warm = s.warm
	}
	if s.ended.After(u.Ended) {
		u.Ended = s.ended
	}
}

// phaseOf is what a unit of so many pods is doing when those of its pods that live or lived are in these states. Busy
// wins, then what might be: a unit is idle when all of it is.
func phaseOf(states []podState, size int, fenced, oneTry bool) pool.Phase {
	count, cannotWork := map[pool.Phase]int{}, false
	for _, s := range states {
		count[s.phase]++
		cannotWork = cannotWork || s.phase == pool.Failed && s.ended.IsZero()
	}
	live := len(states) - count[pool.Failed] - count[pool.Succeeded]
	switch {
	case count[pool.Busy] > 0:
		return pool.Busy
	case count[pool.Unknown] > 0:
		return pool.Unknown
	case cannotWork:
		return pool.Failed
	case live > 0:
		return livePhase(count, size)
	case fenced:
		return pool.Retiring
	default:
		return endedPhase(states, count, size, oneTry)
	}
}

// livePhase is what a unit is doing of whose pods some live, and none is or may be busy.
func livePhase(count map[pool.Phase]int, size int) pool.Phase {
	switch {
	case count[pool.Retiring] > 0:
		return pool.Retiring
	case count[pool.Idle] == size:
		return pool.Idle
	case count[pool.Starting] == 0 && count[pool.Idle]+count[pool.Succeeded] >= size:
		return pool.Retiring // what is left of a unit that has worked isn't a unit
	default:
		return pool.Starting
	}
}

// endedPhase is what a unit without a living pod is doing. Its Job will say so, too, a second later.
func endedPhase(states []podState, count map[pool.Phase]int, size int, oneTry bool) pool.Phase {
	soon := !slices.ContainsFunc(states, func(s podState) bool { return s.phase == pool.Failed && !s.soon })
	switch {
	case count[pool.Succeeded] >= size:
		return pool.Succeeded
	case count[pool.Failed] > 0 && (oneTry || soon):
		return pool.Failed
	default:
		return pool.Starting // its pods have not been made, or are about to be started again
	}
}

// label notes what a pod should be labelled. Nothing is known of the state of an Unknown one, and the fence of a
// Retiring one stays, unless its unit has turned busy behind it.
func (u *Unit) label(p *corev1.Pod, phase pool.Phase, managesEviction bool) {
	if u.Phase == pool.Busy && phase == pool.Retiring {
		phase = pool.Idle
	}
	want, ok := map[pool.Phase]v1alpha1.PodState{
		pool.Starting: v1alpha1.PodStarting,
		pool.Idle:     v1alpha1.PodIdle,
		pool.Busy:     v1alpha1.PodBusy,
	}[phase]
	movable := u.Phase != pool.Busy // the idle pods of a busy unit are part of its work
	stays := p.Annotations[object.SafeToEvict] == "false"
	if ok && (p.Labels[v1alpha1.LabelState] != string(want) || managesEviction && movable == stays) {
		u.Labels = append(u.Labels, Label{Pod: p, State: want, Movable: movable})
	}
}

// Over says whether a Job starts no pods any more.
func Over(job *batchv1.Job) bool { return job.DeletionTimestamp != nil || Finished(job) != nil }

// Finished is the condition that says that a Job has ended, or is about to; nil if it has not.
func Finished(job *batchv1.Job) *batchv1.JobCondition {
	i := slices.IndexFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Status == corev1.ConditionTrue && slices.Contains([]batchv1.JobConditionType{
			batchv1.JobComplete, batchv1.JobFailed, batchv1.JobSuccessCriteriaMet, batchv1.JobFailureTarget,
		}, c.Type)
	})
	if i < 0 {
		return nil
	}
	return &job.Status.Conditions[i]
}
