// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/condition"
	"github.com/paia-tech/hotstandbyjob/internal/kube"
	"github.com/paia-tech/hotstandbyjob/internal/object"
	"github.com/paia-tech/hotstandbyjob/internal/pool"
	"github.com/paia-tech/hotstandbyjob/internal/unit"
)

// report writes the status where it has changed, and sends events for what happened.
func (r *Reconciler) report(ctx context.Context, s *snapshot, plan pool.Plan) error {
	trouble := s.trouble(plan)
	wrote, err := kube.PatchStatus(ctx, r.Client, s.pool, func(status *v1alpha1.HotStandbyJobStatus) {
		before := status.DeepCopy()
		s.fill(status, plan, trouble)
		s.memory.status.due = time.Time{}
		if equality.Semantic.DeepEqual(before, status) {
			return
		}
		if due := s.memory.status.at.Add(r.StatusPeriod); s.view.Now.Before(due) && mayWait(before, status) {
			s.memory.status.due = due
			*status = *before
			return
		}
		status.LastSyncTime = new(metav1.NewMicroTime(s.view.Now))
	})
	if wrote {
		s.memory.status.at = s.view.Now
	}
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		err = nil // the spec has changed meanwhile, and its own pass writes the status; or the pool is gone
	}
	r.announce(s, plan, trouble)
	return err
}

// mayWait tells whether a status neither acknowledges a spec nor is what another process would go on from.
func mayWait(before, after *v1alpha1.HotStandbyJobStatus) bool {
	return before.ObservedGeneration == after.ObservedGeneration && before.CurrentRevision == after.CurrentRevision &&
		before.ConsecutiveFailures == after.ConsecutiveFailures
}

// fill sets a status to what was seen and decided.
func (s *snapshot) fill(status *v1alpha1.HotStandbyJobStatus, plan pool.Plan, trouble condition.Trouble) {
	count := pool.Counted(s.state.Units)
	status.ObservedGeneration = s.pool.Generation
	status.BusyCount = int32(count.Busy + count.WasBusy)
	status.IdleCount = int32(count.Idle)
	status.StartingCount = int32(count.Starting)
	status.UnknownCount = int32(count.Unknown)
	status.DesiredActive = int32(plan.Desired)
	status.Selector = v1alpha1.LabelName + "=" + s.pool.Name
	s.countJobs(status)
	status.ActiveCount += running(s.pods[s.pool.UID]) // plain pods, which no Job has made

	failures := plan.Memory.Failures
	status.ConsecutiveFailures, status.LastFailureTime = int32(failures.Rounds), nil
	if failures.Rounds > 0 {
		status.LastFailureTime = new(metav1.NewTime(failures.Last).Rfc3339Copy())
	}
	if s.memory.admission.refusal.Reason == "" {
		status.CurrentRevision = s.view.Revision
	}
	for _, c := range condition.Of(condition.Input{
		Spec: s.state.Spec, Plan: plan, Count: count, Trouble: trouble,
		Suspended: ptr.Deref(s.pool.Spec.JobTemplate.Suspend, false),
	}) {
		c.ObservedGeneration = s.pool.Generation
		if old := meta.FindStatusCondition(status.Conditions, c.Type); old == nil || old.Status != c.Status {
			c.LastTransitionTime = metav1.NewTime(s.view.Now).Rfc3339Copy()
		}
		meta.SetStatusCondition(&status.Conditions, c)
	}
}

// countJobs counts Jobs and pods as the Python operator's columns did.
func (s *snapshot) countJobs(status *v1alpha1.HotStandbyJobStatus) {
	status.ActiveCount, status.ChildJobs, status.ActiveJobs, status.CompletedJobs, status.FailedJobs = 0, 0, 0, 0, 0
	for _, job := range s.jobs {
		status.ChildJobs++
		if job.Status.Active > 0 {
			status.ActiveJobs++
		} else {
			status.CompletedJobs += min(1, job.Status.Succeeded)
			status.FailedJobs += min(1, job.Status.Failed)
		}
		status.ActiveCount += running(s.pods[job.UID])
	}
}

// running is how many pods run and aren't being deleted.
func running(pods []*corev1.Pod) (n int32) {
	for _, p := range pods {
		if p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil {
			n++
		}
	}
	return n
}

// trouble is what most needs a person.
func (s *snapshot) trouble(plan pool.Plan) condition.Trouble {
	a := s.memory.admission
	switch {
	case a.refusal.Reason != "":
		return a.refusal
	case a.trouble.Reason != "":
		return a.trouble
	case !s.memory.uncertified.IsZero() && s.view.Now.Sub(s.memory.uncertified) >= certificatePatience:
		return noCertificate
	case plan.Memory.Failures.Rounds > 0:
		return condition.Trouble{Reason: condition.ReasonUnitsFailing, Message: s.lastFailure()}
	case s.memory.password.trouble != "":
		return condition.Trouble{Reason: condition.ReasonSignalUnknown, Message: s.memory.password.trouble}
	}
	if n, why := s.because(pool.Starting); why != "" {
		return condition.Trouble{Reason: condition.ReasonUnitsStuck, Message: fmt.Sprintf("%d units can't start: %s", n, why)}
	}
	if n, why := s.because(pool.Unknown); why != "" {
		return condition.Trouble{
			Reason:  condition.ReasonSignalUnknown,
			Message: fmt.Sprintf("it can't be told whether %d units are busy: %s; they are neither replaced nor retired", n, why),
		}
	}
	return condition.Trouble{}
}

// because is how many units of a phase say why, and the first reason in alphabetical order, so that it doesn't change
// while nothing does.
func (s *snapshot) because(phase pool.Phase) (n int, why string) {
	for _, u := range s.units {
		if u.Phase != phase || u.Reason == "" {
			continue
		}
		n++
		if why == "" || u.Reason < why {
			why = u.Reason
		}
	}
	return n, why
}

// lastFailure says how the newest unit that failed before it got work, and is still there, failed.
func (s *snapshot) lastFailure() string {
	var last *unit.Unit
	for i := range s.units {
		u := &s.units[i]
		if u.Phase == pool.Failed && u.Current && !u.WasBusy && (last == nil || u.Ended.After(last.Ended)) {
			last = u
		}
	}
	if last == nil {
		return "standby units fail before they get work"
	}
	text := "unit " + last.Name + " failed before it got work"
	if last.Reason != "" {
		text += ": " + last.Reason
	}
	return text
}

// announce sends an event for each failed unit, once, and for troubles, a full pool and overridden fields when they begin.
func (r *Reconciler) announce(s *snapshot, plan pool.Plan, trouble condition.Trouble) {
	present := map[string]bool{}
	for _, u := range s.units {
		if u.Phase != pool.Failed {
			continue
		}
		present[u.Name] = true
		if !s.memory.failed[u.Name] {
			r.event(s.pool, corev1.EventTypeWarning, ReasonUnitFailed, "Observe", strings.TrimSuffix("unit "+u.Name+" failed: "+u.Reason, ": "))
		}
	}
	s.memory.failed = present

	if trouble.Reason != condition.ReasonUnitsFailing { // each of those has an event of its own
		r.once(s, aboutTrouble, trouble)
	}
	full := condition.Trouble{}
	if plan.Limited {
		full = condition.Full(s.state.Spec, pool.Counted(s.state.Units))
	}
	r.once(s, aboutCapacity, full)
	if overridden := object.Overridden(s.pool); len(overridden) > 0 && s.memory.said[aboutFields] != s.view.Revision {
		s.memory.said[aboutFields] = s.view.Revision
		r.event(s.pool, corev1.EventTypeWarning, ReasonFieldOverridden, "Build", strings.Join(overridden, "; "))
	}
}

// What is said once about a pool.
const (
	aboutTrouble  = "trouble"
	aboutCapacity = "capacity"
	aboutFields   = "overridden"
)

// once sends a warning when its reason becomes what is said about a pool, and not again while it is.
func (r *Reconciler) once(s *snapshot, about string, t condition.Trouble) {
	if s.memory.said[about] == t.Reason {
		return
	}
	s.memory.said[about] = t.Reason
	if t.Reason != "" {
		r.event(s.pool, corev1.EventTypeWarning, t.Reason, "Observe", t.Message)
	}
}

// anyVersion is a pool to send an event about that comes with each launch. The recorder counts an event that comes again as one
// of a series, and writes it twice in all, but not if it is about another version of the pool: each write of its status makes one.
func anyVersion(h *v1alpha1.HotStandbyJob) *v1alpha1.HotStandbyJob {
	out := *h
	out.ResourceVersion = ""
	return &out
}

// event sends an event about an object. The recorder drops what the server doesn't take: messages are kept short.
func (r *Reconciler) event(o runtime.Object, kind, reason, action, message string) {
	const most = 1000 // of 1024 that an Event's note may have
	if len(message) > most {
		message = strings.ToValidUTF8(message[:most], "") + "…"
	}
	r.Recorder.Eventf(o, nil, kind, reason, action, "%s", message)
}

// suspended says whether a Job starts no pods for now.
func suspended(job *batchv1.Job) bool { return ptr.Deref(job.Spec.Suspend, false) }
