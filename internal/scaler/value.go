// SPDX-License-Identifier: Apache-2.0

package scaler

import (
	"math"

	"github.com/paia-tech/hotstandbyjob/internal/journal"
)

// Pool is what there is to tell of a pool.
type Pool struct {
	Idle, Busy int32
	Waiting    int              // pods that launches wait for
	Minutes    []journal.Minute // oldest first, the last is the current one
}

// Value is a trigger's metric of a pool.
func (t Trigger) Value(p Pool) float64 {
	switch t.Metric {
	case WaitingLaunches:
		return float64(p.Waiting)
	case HitRatio:
		return 1 - missed(p.Minutes, t.Minutes)
	case MissRatio:
		return missed(p.Minutes, t.Minutes)
	case Idle:
		return float64(p.Idle)
	case Busy:
		return float64(p.Busy)
	}
	return 0
}

// Active says whether a value is a reason to scale from nothing.
func (t Trigger) Active(value float64) bool { return value > t.Activation }

// missed is how many of the launches of the last minutes started cold, from 0 to 1. Rejected ones don't count, since
// they were never started. Without any launch none missed the pool.
func missed(minutes []journal.Minute, last int) float64 {
	hits, misses := 0, 0
	for _, m := range minutes[max(0, len(minutes)-last):] {
		hits += m.Starts[journal.Warm] + m.Starts[journal.Waited]
		misses += m.Starts[journal.Cold]
	}
	if misses == 0 {
		return 0
	}
	return float64(misses) / float64(hits+misses)
}

// whole is a number for clients that know whole ones only: rounded up, so that a little is not nothing.
func whole(n float64) int64 {
	switch n = math.Ceil(n); {
	case n >= math.MaxInt64:
		return math.MaxInt64
	default:
		return int64(n)
	}
}
