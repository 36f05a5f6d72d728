// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"fmt"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/watch"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// track notes what becomes of launches, when it is seen.
type track struct {
	clock clock.PassiveClock

	mu      sync.Mutex
	changed chan struct{}                      // closed when something changes
	idle    map[types.UID]string               // the pool of each pod that could begin a launch
	made    map[types.UID]time.Time            // when pods of pools were first seen
	bound   map[string]bound                   // by Job
	began   map[string][]time.Time             // by the word that the command was given
	cold    int                                // pods that were made for a Job
	ran     map[string]map[types.UID]time.Time // when the pods of Jobs without a pool were first seen running, by Job
}

// bound is a Job's pod.
type bound struct {
	at  time.Time
	pod types.UID
	// cold is why it was made for the Job, empty if it was taken from the pool.
	cold string
	// pods is how many there were for the Job.
	pods int
}

func newTrack(c clock.PassiveClock) *track {
	return &track{
		clock: c, changed: make(chan struct{}), idle: map[types.UID]string{}, made: map[types.UID]time.Time{}, bound: map[string]bound{},
		began: map[string][]time.Time{}, ran: map[string]map[types.UID]time.Time{},
	}
}

// see takes a pod as it is now.
func (t *track) see(event watch.EventType, p *corev1.Pod) {
	now := t.clock.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.tell()
	if event == watch.Deleted || !idle(p) {
		delete(t.idle, p.UID)
	} else {
		t.idle[p.UID] = p.Labels[v1alpha1.LabelName]
	}
	if _, known := t.made[p.UID]; !known && p.Labels[v1alpha1.LabelState] == string(v1alpha1.PodIdle) {
		t.made[p.UID] = now
	}
	switch job := p.Labels[batchv1.JobNameLabel]; {
	case event == watch.Deleted || job == "":
	case p.Labels[v1alpha1.LabelLaunch] != "":
		t.bind(job, p, now)
	case hasRun(p):
		t.run(job, p.UID, now)
	}
}

// bind takes a pod of a launch. The lock is held.
func (t *track) bind(job string, p *corev1.Pod, now time.Time) {
	b := t.bound[job]
	if b.pod == p.UID {
		return
	}
	if b.pods == 0 {
		b.at = now
	}
	t.bound[job] = bound{at: b.at, pod: p.UID, cold: coldReason(p), pods: b.pods + 1}
	if t.bound[job].cold != "" {
		t.cold++
	}
}

// run takes that a pod of a Job without a pool has been running. The lock is held.
func (t *track) run(job string, pod types.UID, at time.Time) {
	if t.ran[job] == nil {
		t.ran[job] = map[types.UID]time.Time{}
	}
	if _, known := t.ran[job][pod]; !known {
		t.ran[job][pod] = at
	}
}

// hasRun says whether a pod runs, or did.
func hasRun(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodRunning || podutil.IsPodTerminal(p)
}

// idle says whether a pod waits for a launch, and could begin it at once.
func idle(p *corev1.Pod) bool {
	return p.Labels[v1alpha1.LabelState] == string(v1alpha1.PodIdle) && p.DeletionTimestamp == nil && podutil.IsPodReady(p)
}

func coldReason(p *corev1.Pod) string {
	if p.Annotations[v1alpha1.AnnotationStart] == v1alpha1.StartWarm {
		return ""
	}
	if reason := p.Annotations[v1alpha1.AnnotationColdReason]; reason != "" {
		return reason
	}
	return "no reason given"
}

// idleIn is how many pods of pools could begin a launch. The lock is held.
func (t *track) idleIn(pools ...*v1alpha1.HotStandbyJob) (n int) {
	names := sets.New[string]()
	for _, h := range pools {
		names.Insert(h.Name)
	}
	for _, pool := range t.idle {
		if names.Has(pool) {
			n++
		}
	}
	return n
}

// lastMade is when the newest pod of a pool was first seen.
func (t *track) lastMade() (last time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, at := range t.made {
		if at.After(last) {
			last = at
		}
	}
	return last
}

// begin takes that a command began.
func (t *track) begin(word string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.began[word] = append(t.began[word], at)
	t.tell()
}

// tell wakes those who await. The lock is held.
func (t *track) tell() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// await returns when something holds, which is asked with the lock held.
func (t *track) await(ctx context.Context, what string, holds func() bool) error {
	for {
		t.mu.Lock()
		ok, changed := holds(), t.changed
		t.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, context.Cause(ctx))
		case <-changed:
		}
	}
}

// awaitEach returns when something holds for each of n launches, which is asked with the lock held. Others may be known as well:
// those of a round before, of which the watch tells late.
func (t *track) awaitEach(ctx context.Context, what string, n int, holds func(i int) bool) error {
	next := 0 // for those before it holds, and they needn't be looked at again
	err := t.await(ctx, what, func() bool {
		for next < n && holds(next) {
			next++
		}
		return next == n
	})
	if err != nil {
		return fmt.Errorf("launch %d of %d: %w", next+1, n, err)
	}
	return nil
}

// binding is what was seen of a Job's pod.
func (t *track) binding(job string) bound {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bound[job]
}

// beginnings are when the commands began that were given this word.
func (t *track) beginnings(word string) []time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]time.Time(nil), t.began[word]...)
}

// firstRun is when the first pod of a Job without a pool was seen running, zero if none was.
func (t *track) firstRun(job string) (first time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, at := range t.ran[job] {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

// forget drops what was noted of launches.
func (t *track) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.bound)
	clear(t.began)
	clear(t.ran)
	t.cold = 0
}
