// SPDX-License-Identifier: Apache-2.0

// Package track follows pools by the watch events of their Jobs and pods, and measures what becomes of them. It trusts
// nothing that the operator says of itself where it can see the thing: a Job exists when its event arrives, and a pod is
// busy when its annotation is set. It reads no clock: the time of an event comes with it.
package track

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// State is what a pod does.
type State int

// The states of a pod.
const (
	Starting State = iota // not warm yet
	Idle                  // warm, and without work
	Busy                  // works
	Retiring              // fenced by the operator, before it is deleted
	Gone                  // ended, or being deleted
)

// Tracker follows pools. It may be used by many goroutines.
type Tracker struct {
	mutex   sync.Mutex
	pools   map[types.NamespacedName]*pool
	order   []types.NamespacedName
	frozen  bool
	changed chan struct{} // closed at the next change
}

// New returns a tracker that follows these pools, from before they are created.
func New(pools ...*v1alpha1.HotStandbyJob) *Tracker {
	t := &Tracker{pools: map[types.NamespacedName]*pool{}, changed: make(chan struct{})}
	for _, h := range pools {
		name := types.NamespacedName{Namespace: h.Namespace, Name: h.Name}
		t.pools[name] = newPool(h)
		t.order = append(t.order, name)
	}
	return t
}

// Apply says that a pool is being applied: its filling is counted from now on.
func (t *Tracker) Apply(name types.NamespacedName, at time.Time) {
	t.change(func() { t.pools[name].applied = at })
}

// Pod takes the event that a pod was added or has changed.
func (t *Tracker) Pod(o *corev1.Pod, at time.Time) {
	t.inPool(o, func(p *pool) { p.pod(o, p.stateOf(o), at) })
}

// PodGone takes the event that a pod is no more.
func (t *Tracker) PodGone(o *corev1.Pod, at time.Time) {
	t.inPool(o, func(p *pool) {
		p.pod(o, Gone, at)
		delete(p.pods, o.UID)
	})
}

// Job takes the event that a Job was added.
func (t *Tracker) Job(o *batchv1.Job, at time.Time) {
	t.inPool(o, func(p *pool) { p.job(o, at) })
}

// JobGone takes the event that a Job is no more.
func (t *Tracker) JobGone(o *batchv1.Job) {
	t.inPool(o, func(p *pool) { delete(p.jobs, o.UID) })
}

// Lower says that a pool's idleTarget is being lowered.
func (t *Tracker) Lower(name types.NamespacedName, target int, at time.Time) {
	t.change(func() { t.pools[name].lower(target, at) })
}

// Measure starts or ends the time in which the fewest idle pods are counted.
func (t *Tracker) Measure(name types.NamespacedName, on bool) {
	t.change(func() { t.pools[name].measure(on) })
}

// Freeze ends all counting: what comes is clean-up.
func (t *Tracker) Freeze() { t.change(func() { t.frozen = true }) }

// Await returns when a condition holds of a pool, or ctx is done.
func (t *Tracker) Await(ctx context.Context, name types.NamespacedName, holds func(Pool) bool) error {
	for {
		t.mutex.Lock()
		view, changed := t.pools[name].view(), t.changed
		t.mutex.Unlock()
		if holds(view) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}

// Pool is a pool as it is now.
func (t *Tracker) Pool(name types.NamespacedName) Pool {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.pools[name].view()
}

// Pools are all pools as they are now.
func (t *Tracker) Pools() []Pool {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	var views []Pool
	for _, name := range t.order {
		views = append(views, t.pools[name].view())
	}
	return views
}

func (t *Tracker) inPool(o metav1.Object, do func(*pool)) {
	name := types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetLabels()[v1alpha1.LabelName]}
	t.change(func() {
		if p := t.pools[name]; p != nil && !t.frozen {
			do(p)
		}
	})
}

func (t *Tracker) change(do func()) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	do()
	close(t.changed)
	t.changed = make(chan struct{})
}

// stateOf says what a pod does. With mode annotation, everything that matters can be seen on the pod itself; with other
// modes the label is how it is known.
func (p *pool) stateOf(o *corev1.Pod) State {
	label := v1alpha1.PodState(o.Labels[v1alpha1.LabelState])
	byAnnotation := p.spec.BusyProbe.Mode == v1alpha1.BusyByAnnotation
	switch {
	case o.DeletionTimestamp != nil, finished(o):
		return Gone
	case byAnnotation && strings.EqualFold(o.Annotations[p.annotation()], "true"):
		return Busy
	case !byAnnotation && label == v1alpha1.PodBusy:
		return Busy
	case label == v1alpha1.PodRetiring:
		return Retiring
	case byAnnotation && ready(o), !byAnnotation && label == v1alpha1.PodIdle:
		return Idle
	default:
		return Starting
	}
}

func (p *pool) annotation() string {
	return cmp.Or(p.spec.BusyProbe.AnnotationKey, v1alpha1.AnnotationBusy)
}

// finished says whether a pod has ended by itself. Its containers have ended a moment before its phase says so.
func finished(o *corev1.Pod) bool {
	return o.Status.Phase == corev1.PodSucceeded || o.Status.Phase == corev1.PodFailed || containersEnded(o, func(int32) bool { return true })
}

func succeeded(o *corev1.Pod) bool {
	return o.Status.Phase == corev1.PodSucceeded || containersEnded(o, func(code int32) bool { return code == 0 })
}

func containersEnded(o *corev1.Pod, as func(exitCode int32) bool) bool {
	for _, c := range o.Status.ContainerStatuses {
		if c.State.Terminated == nil || !as(c.State.Terminated.ExitCode) {
			return false
		}
	}
	return len(o.Status.ContainerStatuses) > 0
}

func ready(o *corev1.Pod) bool {
	return slices.ContainsFunc(o.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}
