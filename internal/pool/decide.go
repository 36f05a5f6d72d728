// SPDX-License-Identifier: Apache-2.0

package pool

import "math"

// Decide says what to do in a state.
//
// An Unknown unit counts as what it last was when units are made, and as busy when they are retired: an unreadable
// signal neither fills the cluster nor ends work.
func Decide(s State) Plan {
	c := Counted(s.Units)
	failures := s.Memory.Failures.observe(s)
	plan := Plan{
		Desired: s.Spec.desired(c.Busy + c.WasBusy),
		Limited: addCapped(c.Busy+c.WasBusy, s.Spec.IdleTarget) > s.Spec.Max,
	}

	// A pause also ends every surplus: nothing looks whether it lasts until the pause is over.
	if !s.Spec.Paused {
		extra := ahead(s, c, failures)
		retire(s, c, failures.evidence(s), extra, &plan)
		expire(s, c, failures, &plan)
		create(s, c, failures, extra, &plan)
		remove(s, &plan)
	}
	plan.Memory.Failures = failures
	plan.Wake = Sooner(plan.Wake, failures.forgottenIn(s)) // the pool tells of failures until then
	return plan
}

// desired is how many units there shall be when so many are busy. Max wins over Min.
func (s Spec) desired(busy int) int {
	return max(0, min(max(addCapped(busy, s.IdleTarget), s.Min), s.Max))
}

// addCapped keeps absurd but valid numbers from wrapping round. a is not negative.
func addCapped(a, b int) int {
	if b > math.MaxInt-a {
		return math.MaxInt
	}
	return a + b
}

func create(s State, c Count, failures Failures, extra int, plan *Plan) {
	// What was just chosen for retirement still exists: it holds a place below Max until it is gone.
	missing := addCapped(plan.Desired, extra) - c.capacity()
	room := s.Spec.Max - c.capacity() - c.Retiring - broken(s.Units)
	wanted := min(missing, room)
	if wanted <= 0 || s.Spec.Refused {
		return
	}
	allowed, wake := failures.allow(s, wanted)
	plan.Create = allowed
	if allowed < wanted {
		plan.BackoffUntil = s.Now.Add(wake)
		plan.Wake = Sooner(plan.Wake, wake)
	}
}

// broken counts units that say that they can't work but still run.
func broken(units []Unit) int {
	n := 0
	for _, u := range units {
		if u.Phase == Failed && u.Ended.IsZero() {
			n++
		}
	}
	return n
}
