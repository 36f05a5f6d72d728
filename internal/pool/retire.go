// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"cmp"
	"slices"
	"time"
)

// retire chooses the units that go: those fenced before, those too many for the whole of the delay, and idle ones of an
// old revision while enough others are idle. extra is how many more there may be than are desired.
func retire(s State, c Count, e evidence, extra int, plan *Plan) {
	for _, u := range s.Units {
		if u.Phase == Retiring {
			plan.Retire = append(plan.Retire, u.Name)
		}
	}

	needed := s.needed(c)
	spareIdle := c.Idle - needed
	surplus := surplusAfter(s.Memory.Surplus, s.Now, c.capacity()-addCapped(s.Spec.desired(c.Busy+c.Unknown), extra))
	quota, wake := ripe(surplus, s.Now, s.Spec.ScaleDownDelay)
	gone := map[string]bool{}
	var candidates []Unit
	if quota > 0 { // there are seldom any, and as many as the pool has are sorted
		candidates = cheapestFirst(s)
	}
	for _, u := range candidates {
		if len(gone) == quota {
			break
		}
		if u.Phase == Idle {
			if spareIdle <= 0 {
				continue
			}
			spareIdle--
		}
		gone[u.Name] = true
		plan.Retire = append(plan.Retire, u.Name)
	}
	plan.Memory.Surplus = less(surplus, len(gone))
	plan.Wake = wake

	if s.Spec.MaxUnavailable > 0 {
		// Where more than one is needed one stays, also where Max leaves no room for as many as MaxUnavailable: the pool
		// never empties.
		replaceOld(s, spareIdle+min(s.Spec.MaxUnavailable, max(1, needed-1)), e, gone, plan)
	}
}

// replaceOld retires idle units of an old revision, as many as the budget allows, and all that never were warm: these
// don't count as available. Nor do idle ones of the current revision before one of them has proved it: most commands that
// crash run for a moment first, and others must not be given up for that.
func replaceOld(s State, budget int, e evidence, gone map[string]bool, plan *Plan) {
	if !slices.ContainsFunc(s.Units, func(u Unit) bool { return !u.Current }) {
		return
	}
	unproven := 0
	if !e.proven {
		unproven = idleOfCurrent(s.Units)
	}
	budget -= unproven
	for _, u := range cheapestFirst(s) {
		if u.Current || gone[u.Name] {
			continue
		}
		plan.Outdated++
		if s.Spec.Refused {
			continue // there would be no replacement
		}
		if u.Phase == Idle {
			if budget <= 0 {
				if unproven > 0 {
					plan.Wake = Sooner(plan.Wake, e.wait)
				}
				continue
			}
			budget--
		}
		plan.Retire = append(plan.Retire, u.Name)
	}
}

// Why says why a unit that the plan retires goes, in words that follow its name.
func (s State) Why(u Unit) string {
	switch {
	case !u.Current:
		return "of an old revision"
	case s.expired(u):
		return "idle for longer than maxIdleSeconds"
	}
	return "more than are wanted"
}

func idleOfCurrent(units []Unit) int {
	n := 0
	for _, u := range units {
		if u.Phase == Idle && u.Current {
			n++
		}
	}
	return n
}

// Sooner is the shorter of two delays, of which 0 is none.
func Sooner(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// cheapestFirst are the units that may be retired, those first whose loss costs least: old revisions, not running,
// still starting, idle for too long, on a cordoned node, at the tail of a shared Job, youngest.
func cheapestFirst(s State) []Unit {
	var may []Unit
	for _, u := range s.Units {
		if u.Phase == Idle || u.Phase == Starting {
			may = append(may, u)
		}
	}
	slices.SortFunc(may, func(a, b Unit) int {
		return cmp.Or(
			falseFirst(a.Current, b.Current),
			falseFirst(a.Running, b.Running),
			cmp.Compare(a.Phase, b.Phase),
			falseFirst(!s.expired(a), !s.expired(b)),
			falseFirst(!a.Cordoned, !b.Cordoned),
			cmp.Compare(b.Index, a.Index),
			b.Created.Compare(a.Created),
			cmp.Compare(a.Name, b.Name),
		)
	})
	return may
}

func falseFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// surplusAfter is the surplus after seeing that n units are too many now.
func surplusAfter(before []Surplus, now time.Time, n int) []Surplus {
	since := now
	kept := make([]Surplus, 0, len(before)+1)
	for _, s := range before {
		if s.Units >= n {
			since = s.Since // there were at least as many all the time since
			break
		}
		kept = append(kept, s)
	}
	if n <= 0 {
		return nil
	}
	return append(kept, Surplus{Since: since, Units: n})
}

// ripe is how many units were too many for the whole of the delay, and how long until there will be more.
func ripe(surplus []Surplus, now time.Time, delay time.Duration) (n int, wait time.Duration) {
	for _, s := range surplus {
		if left := delay - now.Sub(s.Since); left > 0 {
			return n, left
		}
		n = s.Units
	}
	return n, 0
}

// less is the surplus after k units of it have gone.
func less(surplus []Surplus, k int) []Surplus {
	var rest []Surplus
	for _, s := range surplus {
		if s.Units > k {
			rest = append(rest, Surplus{Since: s.Since, Units: s.Units - k})
		}
	}
	return rest
}

// remove chooses finished units beyond those that are kept to look at, oldest first, and those that run but say that
// they can't work.
func remove(s State, plan *Plan) {
	failed, succeeded := s.Spec.KeepFailed, s.Spec.KeepSucceeded
	for _, u := range newestEndFirst(s.Units) {
		keep := &succeeded
		if u.Phase == Failed {
			keep = &failed
		}
		if *keep > 0 && !u.Ended.IsZero() {
			*keep--
			continue
		}
		plan.Remove = append(plan.Remove, u.Name)
	}
}

func newestEndFirst(units []Unit) []Unit {
	var ended []Unit
	for _, u := range units {
		if u.Phase == Failed || u.Phase == Succeeded {
			ended = append(ended, u)
		}
	}
	slices.SortFunc(ended, func(a, b Unit) int {
		return cmp.Or(b.Ended.Compare(a.Ended), cmp.Compare(a.Name, b.Name))
	})
	return ended
}
