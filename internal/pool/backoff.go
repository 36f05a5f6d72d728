// SPDX-License-Identifier: Apache-2.0

package pool

import "time"

// How creation slows down while standby units fail.
const (
	MinBackoff = 10 * time.Second
	MaxBackoff = 5 * time.Minute

	// proof is how long a unit must be warm before others are made like it, after some have failed.
	proof = 10 * time.Second
	// recovered is how long a unit must be warm before the failures before it are forgotten.
	recovered = time.Minute
)

// Failures is what is remembered of standby units that failed: units that never got work.
//
// A round is a set of units that were made before the first of them failed: twenty that crash together are one bad
// template, not twenty failures. Each holds its place in the pool until the delay has passed, so that one that fails
// among many that don't slows down nothing but its own replacement. When no unit of the revision has proved itself, one
// is tried before the rest is made.
type Failures struct {
	Revision string
	Rounds   int       // in a row
	Last     time.Time // when a unit last failed
	Held     int       // units whose places are not given to others yet
	Counted  map[string]bool
}

// Delay is how long the units of the last round hold their places.
func (f Failures) Delay() time.Duration {
	if f.Rounds == 0 {
		return 0
	}
	return min(MaxBackoff, MinBackoff<<min(f.Rounds-1, 10))
}

// left is how much of the delay is left.
func (f Failures) left(now time.Time) time.Duration { return f.Delay() - now.Sub(f.Last) }

// observe is the memory after seeing the units of a state.
func (f Failures) observe(s State) Failures {
	if f.Revision != s.Spec.Revision {
		f = Failures{Revision: s.Spec.Revision, Counted: f.Counted}
	}
	if f.left(s.Now) <= 0 && f.evidence(s).proven {
		f.Held = 0 // and not when a trial fails: the places that it was to prove stay held
	}
	failed := map[string]bool{}
	fresh, round, last := 0, f.Rounds == 0, f.Last
	for _, u := range s.Units {
		if u.Phase != Failed || u.WasBusy {
			continue // one of which it turns out later that it wasn't busy is counted then
		}
		failed[u.Name] = true
		if !f.concerns(u) {
			continue
		}
		fresh++
		round = round || u.Created.After(f.Last)
		last = later(last, earlier(orNow(u.Ended, s.Now), s.Now))
	}
	if fresh > 0 && round {
		f.Rounds++
	}
	f.Held += fresh
	f.Last = last
	f.Counted = failed
	return f.forget(s)
}

// concerns says whether a failed unit says something about its revision that is not known yet.
func (f Failures) concerns(u Unit) bool { return u.Current && !f.Counted[u.Name] }

// forget drops the failures once a unit made after them has been warm for long, or nothing failed for long.
func (f Failures) forget(s State) Failures {
	if f.Rounds == 0 {
		return f
	}
	over := s.Now.Sub(f.Last) >= 2*MaxBackoff
	for _, u := range s.Units {
		over = over || u.Created.After(f.Last) && u.warmFor(s.Now) >= recovered
	}
	if over {
		return Failures{Revision: f.Revision, Counted: f.Counted}
	}
	return f
}

// forgottenIn is how long until failures are forgotten if nothing else happens; 0 if there are none.
func (f Failures) forgottenIn(s State) time.Duration {
	if f.Rounds == 0 {
		return 0
	}
	left := 2*MaxBackoff - s.Now.Sub(f.Last)
	for _, u := range s.Units {
		warm := u.Current && !u.Warm.IsZero() && (u.Phase == Idle || u.Phase == Busy)
		if warm && u.Created.After(f.Last) {
			left = min(left, recovered-u.warmFor(s.Now))
		}
	}
	return max(left, time.Millisecond)
}

// warmFor is how long a unit of the current revision has been warm.
func (u Unit) warmFor(now time.Time) time.Duration {
	if !u.Current || u.Warm.IsZero() || (u.Phase != Idle && u.Phase != Busy) {
		return 0
	}
	return max(0, now.Sub(u.Warm))
}

// evidence is what the units of a revision say about it.
type evidence struct {
	warm   bool          // one is warm
	proven bool          // one has been warm for long enough, or ended well since units last failed
	trial  bool          // one may yet prove itself
	wait   time.Duration // until then
}

func (f Failures) evidence(s State) evidence {
	e := evidence{wait: proof}
	for _, u := range s.Units {
		if !u.Current {
			continue
		}
		switch u.Phase {
		case Idle, Busy:
			left := proof - u.warmFor(s.Now)
			e.warm, e.trial, e.proven = true, true, e.proven || left <= 0
			e.wait = min(e.wait, left)
		case Starting, Unknown:
			e.trial = true
		case Succeeded:
			e.proven = e.proven || u.Created.After(f.Last)
		case Retiring, Terminating, Failed:
		}
	}
	return e
}

// allow is how many of the wanted units may be made now, and if not all, when to ask again.
func (f Failures) allow(s State, wanted int) (n int, wake time.Duration) {
	e, left := f.evidence(s), f.left(s.Now)
	switch {
	case f.Rounds == 0:
		return wanted, 0
	case left > 0 && e.warm:
		return max(0, wanted-f.Held), left
	case left > 0:
		return 0, left
	case e.proven:
		return wanted, 0
	case e.trial:
		return 0, e.wait
	default:
		return 1, proof
	}
}

func orNow(t, now time.Time) time.Time {
	if t.IsZero() {
		return now
	}
	return t
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
