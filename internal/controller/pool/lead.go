// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/internal/metric"
	"github.com/paia-tech/hotstandbyjob/internal/object"
	"github.com/paia-tech/hotstandbyjob/internal/pool"
	"github.com/paia-tech/hotstandbyjob/internal/unit"
)

// Observer hears what pools are like. It must not wait for anything.
type Observer interface {
	Decided(name types.NamespacedName, p metric.Pool)      // without Waiting and PricePerPodHour
	Warmed(name types.NamespacedName, after time.Duration) // a unit is warm, so long after it was made
	Gone(name types.NamespacedName)
}

// tell tells of what was observed and decided.
func (r *Reconciler) tell(s *snapshot, plan pool.Plan) {
	warmed := s.memory.lead.look(s.view.Now, s.units)
	if r.Observer == nil {
		return
	}
	size := 1
	if !push(s.pool) {
		size = int(object.Parallelism(s.pool))
	}
	count, failed := pool.Counted(s.state.Units), 0
	for _, u := range s.units {
		if u.Phase == pool.Failed {
			failed++
		}
	}
	r.Observer.Decided(s.name, metric.Pool{
		Idle: count.Idle, Busy: count.Busy, Starting: count.Starting, Unknown: count.Unknown, Retiring: count.Retiring, Failed: failed,
		IdleTarget: s.state.Spec.IdleTarget, Desired: plan.Desired,
		Missing:  max(0, plan.Desired-count.Starting-count.Idle-count.Busy-count.Unknown),
		Failures: plan.Memory.Failures.Rounds,
		Push:     push(s.pool), UnitSize: size,
	})
	for _, after := range warmed {
		r.Observer.Warmed(s.name, after)
	}
}

// lead is when the units of a pool were made. All of it can be lost: some are then not told of.
type lead struct {
	looked bool                 // a pass has looked before
	since  map[string]time.Time // by unit; zero: it was warm already when it was looked at first, or has been told of
}

// made notes when a unit was made: what the server says about that has whole seconds.
func (l *lead) made(name string, at time.Time) {
	if l.since == nil {
		l.since = map[string]time.Time{}
	}
	l.since[name] = at
}

// unseen is how long a unit may take from its creation until it is in the cache.
const unseen = time.Minute

// look returns how long after their creation units are warm that weren't when it was looked before.
func (l *lead) look(now time.Time, units []unit.Unit) (warmed []time.Duration) {
	next := map[string]time.Time{}
	for _, u := range units {
		at, known := l.since[u.Name]
		if !known {
			at = l.first(now, u)
		}
		if !at.IsZero() && (u.Phase == pool.Idle || u.Phase == pool.Busy) {
			warmed = append(warmed, now.Sub(at))
			at = time.Time{}
		}
		next[u.Name] = at
	}
	for name, at := range l.since {
		if _, there := next[name]; !there && !at.IsZero() && now.Sub(at) < unseen {
			next[name] = at
		}
	}
	l.since, l.looked = next, true
	return warmed
}

// first is when a unit was made that is seen for the first time.
func (l *lead) first(now time.Time, u unit.Unit) time.Time {
	const resolution = 2 * time.Second // of what the server says, with some delay
	switch {
	case u.Phase != pool.Starting && !l.looked:
		return time.Time{}
	case u.Phase == pool.Starting && (u.Created.IsZero() || now.Sub(u.Created) < resolution):
		return now
	default:
		return u.Created
	}
}
