// SPDX-License-Identifier: Apache-2.0

// Package tally hears of launches and of pools wherever something happens to them, and writes it into the metrics, the
// journal and the traces. It decides nothing.
package tally

import (
	"context"
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/journal"
	"github.com/paia-tech/hotstandbyjob/internal/launch"
	"github.com/paia-tech/hotstandbyjob/internal/metric"
	"github.com/paia-tech/hotstandbyjob/internal/standby"
	"github.com/paia-tech/hotstandbyjob/internal/trace"
)

// Deps are what a tally works with.
type Deps struct {
	Set     *metric.Set
	Journal *journal.Journal
	Clock   clock.WithTicker
	// Exists tells from memory whether there is a pool.
	Exists func(types.NamespacedName) bool
	// PricePerPodHour of idle pods; 0: nothing is said about costs.
	PricePerPodHour float64
	// Traces of launches; nil: none are made.
	Traces *trace.Tracer
}

// Tally may be used from any goroutine.
type Tally struct {
	deps    Deps
	waiting func(types.NamespacedName) int

	// mu is held while something is written about a pool, so that nothing is written of one that has just been forgotten.
	mu    sync.Mutex
	pools map[types.NamespacedName]*metric.Pool // nil: nothing was decided of it yet
}

// New returns a tally of nothing.
func New(d Deps) *Tally {
	return &Tally{
		deps: d, pools: map[types.NamespacedName]*metric.Pool{},
		waiting: func(types.NamespacedName) int { return 0 },
	}
}

// Waiting sets what tells how many pods launches lack that wait for a pool. It is called before anything happens.
func (t *Tally) Waiting(f func(pool types.NamespacedName) int) { t.waiting = f }

// about calls a function that writes about a pool, which is forgotten one day even if nothing is ever decided of it.
func (t *Tally) about(pool types.NamespacedName, f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.pools[pool]; !ok {
		t.pools[pool] = nil
	}
	f()
}

// Decided takes note of what a pool is like.
func (t *Tally) Decided(name types.NamespacedName, p metric.Pool) {
	p.Waiting = func() int { return t.waiting(name) }
	p.PricePerPodHour = t.deps.PricePerPodHour
	t.about(name, func() {
		t.pools[name] = &p
		t.deps.Set.SetPool(name, p)
	})
}

// Warmed takes note of a standby unit that is warm.
func (t *Tally) Warmed(pool types.NamespacedName, after time.Duration) {
	t.about(pool, func() { t.deps.Set.Warmed(pool, after) })
}

// ClaimLost takes note of a claim of a pod that wasn't idle any more.
func (t *Tally) ClaimLost(pool types.NamespacedName) {
	t.about(pool, func() { t.deps.Set.ClaimLost(pool) })
}

// Gone forgets a pool.
func (t *Tally) Gone(pool types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.pools, pool)
	t.deps.Set.Forget(pool)
	t.deps.Journal.Forget(pool)
}

// Probed takes note of a busy probe.
func (t *Tally) Probed(mode v1alpha1.BusyProbeMode, took time.Duration, failed bool) {
	t.deps.Set.Probed(string(mode), took, failed)
}

// Streams takes note of streams of pods that were opened, or with a negative number closed.
func (t *Tally) Streams(change int) { t.deps.Set.Streams(change) }

// Claimed counts a launch that has got a pod of its pool.
func (t *Tally) Claimed(l launch.Launch) {
	t.about(l.Pool, func() { t.deps.Set.Launched(l.Pool, string(warmth(l.Waited)), "") })
}

// Created counts a launch that has got a pod of its own.
func (t *Tally) Created(l launch.Launch) {
	name := l.Pool
	if l.Cold == launch.ColdNoPool {
		name.Name = "" // it is whatever somebody wrote on a Job
	}
	t.about(l.Pool, func() { t.deps.Set.Launched(name, string(journal.Cold), string(l.Cold)) })
}

// Rejected counts a Job that was told to fail.
func (t *Tally) Rejected(l launch.Launch) {
	now := t.deps.Clock.Now()
	rejected := journal.Launch{Pool: l.Pool, Job: l.Job, Start: journal.Rejected, Seen: l.Seen, Started: now, Queue: now.Sub(l.Seen)}
	t.about(l.Pool, func() {
		t.deps.Set.Launched(l.Pool, string(journal.Rejected), "")
		t.deps.Journal.Record(rejected)
	})
	t.deps.Traces.Launch(rejected, l.Trace)
}

// Began takes note of how long a launch took in a pod of its own.
func (t *Tally) Began(l launch.Launch) {
	t.record(journal.Launch{
		Pool: l.Pool, Job: l.Job, Pod: l.Pod, Start: journal.Cold, Reason: l.Why, Seen: l.Seen, Started: l.Begun,
		Queue: l.Found.Sub(l.Seen), Begin: l.Begun.Sub(l.Found),
	}, l.Trace)
}

// Started takes note of how long a launch took in a pod of its pool. Of one that another process has claimed that isn't
// known.
func (t *Tally) Started(p standby.Pod) {
	at := p.Timing
	if at.Seen.IsZero() || at.Begun.IsZero() {
		return
	}
	sent := at.Sent
	if sent.Before(at.Claimed) || sent.After(at.Begun) {
		sent = at.Begun // it got its command by its payload's file: all of the time was for that
	}
	t.record(journal.Launch{
		Pool: p.Pool, Job: p.Job, Pod: p.Name, Start: warmth(at.Waited), Seen: at.Seen, Started: at.Begun,
		Queue: at.Found.Sub(at.Seen), Claim: at.Claimed.Sub(at.Found), Deliver: sent.Sub(at.Claimed), Begin: at.Begun.Sub(sent),
	}, at.Trace)
}

// warmth is how a launch starts in a pod of its pool.
func warmth(waited bool) journal.Start {
	if waited {
		return journal.Waited
	}
	return journal.Warm
}

// record takes note of a launch that has started, and that is part of a trace if there is a traceparent.
func (t *Tally) record(l journal.Launch, traceparent string) {
	warm, trace := l.Start != journal.Cold, t.deps.Traces.Launch(l, traceparent)
	t.about(l.Pool, func() {
		t.deps.Journal.Record(l)
		if warm {
			t.deps.Set.Took(l.Pool, l.Total(), trace)
		}
	})
	t.deps.Set.Phase("queue", l.Queue, trace)
	if warm {
		t.deps.Set.Phase("claim", l.Claim, trace)
		t.deps.Set.Phase("deliver", l.Deliver, trace)
	}
	t.deps.Set.Phase("start", l.Begin, trace)
}

// NeedLeaderElection says that the leader alone takes samples: it alone looks at pools.
func (t *Tally) NeedLeaderElection() bool { return true }

// Start takes a sample of all pools now and then, until ctx is done.
func (t *Tally) Start(ctx context.Context) error {
	ticker := t.deps.Clock.NewTicker(journal.Period)
	defer ticker.Stop()
	defer t.leave()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
			t.sample()
		}
	}
}

// sample takes a sample of each pool, and forgets those that are gone.
func (t *Tally) sample() {
	t.mu.Lock()
	names := maps.Clone(t.pools)
	t.mu.Unlock()
	for name := range names {
		if !t.deps.Exists(name) {
			t.Gone(name)
			continue
		}
		waiting := t.waiting(name)
		t.about(name, func() {
			if p := t.pools[name]; p != nil {
				t.deps.Journal.Take(name, journal.Sample{
					Idle: int32(p.Idle), Busy: int32(p.Busy), Starting: int32(p.Starting), Waiting: int32(waiting),
				})
			}
		})
	}
}

// leave deletes the pools' series when this operator looks at them no more: in a process with others they would stay.
func (t *Tally) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name := range t.pools {
		t.deps.Set.Forget(name)
	}
}
