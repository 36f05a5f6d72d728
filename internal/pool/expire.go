// SPDX-License-Identifier: Apache-2.0

package pool

import "time"

// expired says whether a unit has been idle for too long.
func (s State) expired(u Unit) bool { return s.Spec.MaxIdle > 0 && u.Phase == Idle && s.fresh(u) <= 0 }

// fresh is how long an idle unit may still be idle; of one of which it isn't known since when it is, all of the time.
func (s State) fresh(u Unit) time.Duration {
	if u.Warm.IsZero() {
		return s.Spec.MaxIdle
	}
	return s.Spec.MaxIdle - s.Now.Sub(u.Warm)
}

// needed is how many units must be idle; an Unknown one may be at work.
func (s State) needed(c Count) int {
	return max(0, s.Spec.desired(c.Busy+c.Unknown)-c.Busy-c.Unknown)
}

// expire retires a unit that has been idle for too long, where no more is retired anyway and as many as needed are idle,
// of which others stay: so that the next one goes when the replacement of this one is idle.
func expire(s State, c Count, f Failures, plan *Plan) {
	if s.Spec.MaxIdle <= 0 {
		return
	}
	oldest, wake := s.oldest()
	plan.Wake = Sooner(plan.Wake, wake)
	if oldest == nil || len(plan.Retire) > 0 || c.Idle < 2 || c.Idle < s.needed(c) || !s.replaceable(f) {
		return
	}
	plan.Retire = append(plan.Retire, oldest.Name)
}

// oldest is the unit that has been idle for too long, longest of all; nil if there is none. wake is when another may be.
func (s State) oldest() (oldest *Unit, wake time.Duration) {
	for i := range s.Units {
		u := &s.Units[i]
		switch {
		case u.Phase != Idle:
		case !s.expired(*u):
			wake = Sooner(wake, s.fresh(*u))
		case oldest == nil || before(u, oldest):
			oldest = u
		}
	}
	return oldest, wake
}

// before orders units by how long they have been warm, longest first.
func before(a, b *Unit) bool {
	if d := a.Warm.Compare(b.Warm); d != 0 {
		return d < 0
	}
	return a.Name < b.Name
}

// replaceable says whether nothing speaks against making a unit in place of one that could stay.
func (s State) replaceable(f Failures) bool { return !s.Spec.Refused && f.Rounds == 0 }

// ahead is how many units there may be beyond those that are desired: the one that replaces an expired unit where that is
// the only one that is needed, and so can't go before.
func ahead(s State, c Count, f Failures) int {
	if s.Spec.MaxIdle <= 0 || c.Idle != 1 || s.needed(c) != 1 || !s.replaceable(f) {
		return 0
	}
	for _, u := range s.Units {
		if s.expired(u) && s.Spec.desired(c.Busy+c.Unknown) < s.Spec.Max {
			return 1
		}
	}
	return 0
}
