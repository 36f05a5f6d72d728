// SPDX-License-Identifier: Apache-2.0

package launch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	typedbatchv1 "k8s.io/client-go/kubernetes/typed/batch/v1"
	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// ConditionWarm is the condition of Jobs that says how many of their pods were taken from the pool: True if all were.
const ConditionWarm batchv1.JobConditionType = "hsj.paia.tech/Warm"

// Reasons of ConditionWarm.
const (
	ReasonAllWarm  = "AllWarm"
	ReasonSomeCold = "SomeCold"
)

// How long a status may wait that only says how many pods are active and ready. Of Jobs that are done by then it is never written,
// and in a burst of launches such writes come after it.
const (
	// statusDelay is how long it waits by itself: as long as upstream's own batches.
	statusDelay = time.Second
	// statusGap is between such a status and the next: where more Jobs begin than ten a second, each write is one that the
	// launches wait for.
	statusGap = 100 * time.Millisecond
	// mostStatusDelay is how long it waits at most, however many there are.
	mostStatusDelay = 3 * time.Second
)

// heldStatus is a status that waits to be written.
type heldStatus struct {
	due   time.Time
	start *metav1.Time // the StartTime that it has
	timer clock.Timer
}

// statusPace says how long each of many statuses waits.
type statusPace struct{ last time.Time }

// next is how long a status waits that comes now, after those that came before.
func (p *statusPace) next(now time.Time) time.Duration {
	wait := min(max(statusDelay, p.last.Add(statusGap).Sub(now)), mostStatusDelay)
	p.last = now.Add(wait)
	return wait
}

// updateStatus writes a Job's status, with the condition that tells warm from cold. It is never written for that alone.
func (l *Launcher) updateStatus(
	ctx context.Context, c typedbatchv1.JobInterface, job *batchv1.Job, o metav1.UpdateOptions,
) (*batchv1.Job, error) {
	out := *job
	out.Status.Conditions = l.withWarm(job)
	if l.hold(&out) {
		return job, nil
	}
	return c.UpdateStatus(ctx, &out, o)
}

// withWarm is a Job's conditions with ConditionWarm as it is now.
func (l *Launcher) withWarm(job *batchv1.Job) []batchv1.JobCondition {
	warm, all := l.warmth(job)
	if all == 0 {
		return job.Status.Conditions
	}
	now := metav1.NewTime(l.deps.Clock.Now())
	c := batchv1.JobCondition{
		Type: ConditionWarm, Status: corev1.ConditionTrue, Reason: ReasonAllWarm, LastProbeTime: now, LastTransitionTime: now,
		Message: fmt.Sprintf("%d of %d pods started warm", warm, all),
	}
	if warm < all {
		c.Status, c.Reason = corev1.ConditionFalse, ReasonSomeCold
	}
	out := slices.Clone(job.Status.Conditions)
	i := slices.IndexFunc(out, func(o batchv1.JobCondition) bool { return o.Type == ConditionWarm })
	if i < 0 {
		return append(out, c)
	}
	if out[i].Status == c.Status {
		c.LastTransitionTime = out[i].LastTransitionTime
	}
	if out[i].Status != c.Status || out[i].Message != c.Message {
		out[i] = c
	}
	return out
}

// warmth counts the pods of a Job, and those of them that started warm.
func (l *Launcher) warmth(job *batchv1.Job) (warm, all int) {
	started := map[types.UID]string{}
	for _, p := range l.podsOf(job) {
		started[p.UID] = p.Annotations[v1alpha1.AnnotationStart]
	}
	l.mu.Lock()
	if s, ok := l.states[job.UID]; ok {
		maps.Copy(started, s.started)
	}
	l.mu.Unlock()
	for _, how := range started {
		if how == v1alpha1.StartWarm {
			warm++
		}
	}
	return warm, len(started)
}

// hold tells whether a status may wait, and then sees to it that the embedded controller comes back to it. A status that
// is written instead gets the StartTime of the one that waited.
func (l *Launcher) hold(job *batchv1.Job) bool {
	now := l.deps.Clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stateOf(job)
	key, uid := keyOf(job), job.UID
	current := l.jobOf(key, uid)
	if current != nil && mayWait(current, job) && (s.held == nil || now.Before(s.held.due)) {
		if s.held == nil {
			wait := l.statuses.next(now)
			s.held = &heldStatus{due: now.Add(wait), start: job.Status.StartTime}
			s.held.timer = l.deps.Clock.AfterFunc(wait, func() { l.wake(l.jobOf(key, uid)) })
		}
		return true
	}
	if s.held == nil {
		return false
	}
	s.held.timer.Stop()
	if current != nil && current.Status.StartTime == nil && job.Status.StartTime != nil && s.held.start != nil {
		job.Status.StartTime = s.held.start
	}
	s.held = nil
	return false
}

// mayWait tells whether a status differs from the written one in nothing that is counted or decided by. A Job with a
// deadline has its StartTime written at once.
func mayWait(current, job *batchv1.Job) bool {
	if job.Spec.ActiveDeadlineSeconds != nil || current.ResourceVersion != job.ResourceVersion {
		return false
	}
	return equality.Semantic.DeepEqual(settled(current), settled(job))
}

// settled is a status without what may wait.
func settled(job *batchv1.Job) batchv1.JobStatus {
	s := job.Status
	s.Active, s.Ready, s.Terminating, s.StartTime = 0, nil, nil, nil
	s.Conditions = slices.DeleteFunc(slices.Clone(s.Conditions), func(c batchv1.JobCondition) bool { return c.Type == ConditionWarm })
	if u := s.UncountedTerminatedPods; u != nil && len(u.Succeeded) == 0 && len(u.Failed) == 0 {
		s.UncountedTerminatedPods = nil
	}
	return s
}
