// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"pgregory.net/rapid"
)

// hold fails the test where a plan breaks what holds for every plan.
func hold(t rapid.TB, s State, p Plan) {
	t.Helper()
	if s.Spec.Paused && acts(p) {
		t.Fatalf("acts though paused: %+v", p)
	}
	if p.Wake < 0 || (!p.BackoffUntil.IsZero() && !p.BackoffUntil.After(s.Now)) {
		t.Fatalf("looks back: %+v", p)
	}
	holdChosen(t, s, p)
	holdCreate(t, s, p)
	holdIdle(t, s, p)
	holdFunction(t, s, p)
}

// holdChosen holds that no unit is retired that is at work or may be, and none removed that could work.
func holdChosen(t rapid.TB, s State, p Plan) {
	t.Helper()
	var retirable, removable []string
	for _, u := range s.Units {
		switch u.Phase {
		case Starting, Idle, Retiring:
			retirable = append(retirable, u.Name)
		case Failed, Succeeded:
			removable = append(removable, u.Name)
		case Busy, Unknown, Terminating:
		}
	}
	once := func(chosen, may []string) {
		for i, name := range chosen {
			if !slices.Contains(may, name) || slices.Contains(chosen[:i], name) {
				t.Fatalf("%s may not go, or goes twice: %+v\nof %+v", name, p, s.Units)
			}
		}
	}
	once(p.Retire, retirable)
	once(p.Remove, removable)
}

// holdCreate holds that nothing is made beyond Max, beyond what is desired, or against the server's will.
func holdCreate(t rapid.TB, s State, p Plan) {
	t.Helper()
	if p.Create == 0 {
		return
	}
	c := Counted(s.Units)
	have := c.Starting + c.Idle + c.Busy + c.Unknown
	desired := formula(s.Spec, c.Busy+c.WasBusy)
	if s.Spec.MaxIdle > 0 && c.Idle == 1 {
		desired++ // the replacement of the only idle unit
	}
	most := min(s.Spec.Max-have-c.Retiring, desired-have)
	if s.Spec.Refused || p.Create < 0 || p.Create > most {
		t.Fatalf("makes %d, may make %d: %+v of %+v", p.Create, most, c, s.Spec)
	}
}

// holdIdle holds that an idle unit goes only while others are idle that are as many as needed, but for those that may
// be missing in a rollout, and never the last one where more are needed.
func holdIdle(t rapid.TB, s State, p Plan) {
	t.Helper()
	left, all := 0, 0
	for _, u := range s.Units {
		if u.Phase == Idle {
			all++
			if !slices.Contains(p.Retire, u.Name) {
				left++
			}
		}
	}
	c := Counted(s.Units)
	needed := max(0, formula(s.Spec, c.Busy+c.Unknown)-c.Busy-c.Unknown)
	missing := s.Spec.MaxUnavailable
	if s.Spec.MaxIdle > 0 {
		missing = max(missing, 1)
	}
	least := needed - missing
	if needed > 1 {
		least = max(least, 1)
	}
	if left < all && left < least {
		t.Fatalf("leaves %d idle units of %d, %d are needed and %d may be missing", left, all, needed, s.Spec.MaxUnavailable)
	}
}

// formula is the one that the Python operator had: clamp(busy + idleTarget, min, max), where max wins.
func formula(s Spec, busy int) int {
	desired := s.IdleTarget
	if desired+busy > desired { // does not overflow
		desired += busy
	}
	if desired < s.Min {
		desired = s.Min
	}
	if desired > s.Max {
		desired = s.Max
	}
	return max(desired, 0)
}

// holdFunction holds that Decide is a function of a set: it changes nothing that it is given, and the order of units is
// none.
func holdFunction(t rapid.TB, s State, want Plan) {
	t.Helper()
	turned := State{Now: s.Now, Spec: s.Spec, Units: slices.Clone(s.Units), Memory: s.Memory}
	turned.Memory.Surplus = slices.Clone(s.Memory.Surplus)
	turned.Memory.Failures.Counted = maps.Clone(s.Memory.Failures.Counted)
	slices.Reverse(turned.Units)
	before := slices.Clone(turned.Units)

	got := Decide(turned)
	if !reflect.DeepEqual(unordered(got), unordered(want)) {
		t.Fatalf("with the units in reverse:\n%+v\nand before:\n%+v", got, want)
	}
	if !slices.Equal(turned.Units, before) || !slices.Equal(turned.Memory.Surplus, s.Memory.Surplus) ||
		!maps.Equal(turned.Memory.Failures.Counted, s.Memory.Failures.Counted) {
		t.Fatalf("has changed what it was given: %+v", turned)
	}
}

// unordered is a plan whose names are sorted, so that plans can be compared as sets.
func unordered(p Plan) Plan {
	p.Retire, p.Remove = slices.Clone(p.Retire), slices.Clone(p.Remove)
	slices.Sort(p.Retire)
	slices.Sort(p.Remove)
	return p
}

// observe notes how many units too many a decision is going to see.
func (c *cluster) observe(s State) {
	if s.Spec.Paused {
		c.surplus = nil
		return
	}
	n := Counted(s.Units)
	have := n.Starting + n.Idle + n.Busy + n.Unknown
	c.surplus = append(c.surplus, observation{at: s.Now, units: have - formula(s.Spec, n.Busy+n.Unknown)})
}

// holdDelay holds that no more units of the current revision are retired than were too many at every decision for the
// whole of the delay.
func (c *cluster) holdDelay(t rapid.TB, s State, p Plan) {
	t.Helper()
	retired := 0
	for _, u := range s.Units {
		if u.Current && u.Phase != Retiring && !s.expired(u) && slices.Contains(p.Retire, u.Name) {
			retired++
		}
	}
	if most := c.lasting(s.Spec.ScaleDownDelay); retired > most {
		t.Fatalf("retires %d units, %d were too many for %v: %+v", retired, most, s.Spec.ScaleDownDelay, c.surplus)
	}
}

func (c *cluster) lasting(delay time.Duration) int {
	most, whole := 0, false
	for i, o := range slices.Backward(c.surplus) {
		if i == len(c.surplus)-1 || o.units < most {
			most = o.units
		}
		if whole = !o.at.After(c.now.Add(-delay)); whole {
			break
		}
	}
	if !whole {
		return 0
	}
	return max(0, most)
}
