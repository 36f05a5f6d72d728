// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"slices"
	"testing"
	"time"
)

func TestRetireOldRevisions(t *testing.T) {
	decisions(t, map[string]decision{
		"as many idle ones as may be missing": {
			units: but(units(20, "old", Idle), old),
			want:  Plan{Desired: 20, Outdated: 20, Retire: names("old", 0, 4)},
		},
		"no more while the first are replaced": {
			units: slices.Concat(but(units(15, "old", Idle), old), units(5, "new", Starting)),
			want:  Plan{Desired: 20, Outdated: 15},
		},
		"those that never were warm at once": {
			units: but(slices.Concat(units(15, "idle", Idle), units(5, "old", Starting)), old),
			want:  Plan{Desired: 20, Outdated: 20, Retire: names("old", 0, 4)},
		},
		"those beyond what is needed at once": {
			units: slices.Concat(units(15, "new", Idle), but(units(8, "old", Idle), old)),
			want:  Plan{Desired: 20, Outdated: 8, Retire: names("old", 0, 7), Wake: 30 * time.Second},
		},
		"busy ones never": {
			units: slices.Concat(units(20, "new", Idle), but(units(5, "old", Busy), old), but(units(1, "lost", Unknown), old), units(1, "more", Idle)),
			spec:  func(s *Spec) { s.IdleTarget = 21 },
			want:  Plan{Desired: 26},
		},
		"never the last idle one where more are needed (Max leaves room for two)": {
			units: slices.Concat(units(98, "busy", Busy), but(units(2, "old", Idle), old)),
			want:  Plan{Desired: 100, Limited: true, Outdated: 2, Retire: names("old", 0, 0)},
		},
		"the only one where no more is needed": {
			units: but(units(1, "old", Idle), old),
			spec:  func(s *Spec) { s.IdleTarget = 1 },
			want:  Plan{Desired: 1, Outdated: 1, Retire: names("old", 0, 0)},
		},
		"none where they are replaced on deletion": {
			units: but(slices.Concat(units(15, "idle", Idle), units(5, "new", Starting)), old),
			spec:  func(s *Spec) { s.MaxUnavailable = 0 },
			want:  Plan{Desired: 20},
		},
		"none where the server refuses what would replace them": {
			units: but(slices.Concat(units(15, "idle", Idle), units(5, "new", Starting)), old),
			spec:  func(s *Spec) { s.Refused = true },
			want:  Plan{Desired: 20, Outdated: 20},
		},
		"none twice that also are too many": {
			units: but(units(22, "old", Idle), old),
			too:   []Surplus{{Since: at(-time.Hour), Units: 2}},
			want:  Plan{Desired: 20, Outdated: 20, Retire: names("old", 0, 6)},
		},
	})
}

// lowest is how few idle units there are at any time until the pool comes to rest.
func lowest(t *testing.T, c *cluster) int {
	t.Helper()
	least := c.count().Idle
	c.watching = func() { least = min(least, c.count().Idle) }
	if !c.run(t, c.now.Add(time.Hour)) {
		t.Fatal("not at rest after an hour")
	}
	return least
}

func TestARolloutReplacesIdleUnitsAndLeavesEnough(t *testing.T) {
	for name, tc := range map[string]struct {
		idle, busy int
		spec       func(*Spec)
		made, left int // how many are made, and the fewest that are idle
	}{
		"a quarter at a time":             {20, 5, func(*Spec) {}, 20, 15},
		"one at a time":                   {20, 0, func(s *Spec) { s.MaxUnavailable = 1 }, 20, 19},
		"all but one where all may go":    {20, 0, func(s *Spec) { s.MaxUnavailable = 20 }, 20, 1},
		"without room above":              {20, 0, func(s *Spec) { s.Max = 20 }, 20, 15},
		"where Max leaves room for three": {3, 97, func(*Spec) {}, 3, 1},
		"not of what is too much":         {26, 0, func(*Spec) {}, 20, 15},
		"when there is but one":           {1, 0, func(s *Spec) { s.IdleTarget = 1 }, 1, 0},
		"not on deletion":                 {20, 0, func(s *Spec) { s.MaxUnavailable = 0 }, 0, 20},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(twenty(), but(units(tc.idle, "old", Idle), old), but(units(tc.busy, "busy", Busy), old))
			tc.spec(&c.spec)
			if left := lowest(t, c); left != tc.left {
				t.Errorf("%d idle units at the worst, want %d", left, tc.left)
			}
			if n := c.count(); c.made != tc.made || n.Busy != tc.busy {
				t.Errorf("%d are made and %+v are left, want %d made and %d busy", c.made, n, tc.made, tc.busy)
			}
		})
	}
}

func TestARolloutOfACrashingTemplateStopsWithTheFirst(t *testing.T) {
	c := newCluster(twenty(), but(units(20, "old", Idle), old))
	c.fate = func() fate { return fate{start: time.Minute, life: time.Second} }
	if c.run(t, at(time.Hour)); c.count().Idle != 15 {
		t.Errorf("%+v after an hour, want the 15 idle units that may not be missing", c.count())
	}
	// Five at once, then one after 10, 20, 40, 80, 160 s, and one every five minutes.
	if want := 5 + 5 + 10; c.made != want {
		t.Errorf("%d units made in an hour, want %d", c.made, want)
	}
}

// Most commands that crash run for a moment first, and their units are idle for that long.
func TestARolloutStopsThoughTheNewUnitsAreIdleForAMoment(t *testing.T) {
	c := newCluster(twenty(), but(units(20, "old", Idle), old))
	c.fate = func() fate { return fate{start: time.Second, life: 4 * time.Second} }
	c.run(t, at(time.Hour))
	left := 0
	for _, m := range c.members {
		if m.Phase == Idle && !m.Current {
			left++
		}
	}
	if left != 15 {
		t.Errorf("%d units of the old revision are left after an hour, want the 15 that may not be missing", left)
	}
}

func TestARolloutWaitsForTheFirstNewUnitToProveItself(t *testing.T) {
	warmFor := func(d time.Duration) func(*Unit) { return func(u *Unit) { u.Warm = at(-d) } }
	olds := but(units(15, "old", Idle), old)
	decisions(t, map[string]decision{
		"none goes before": {
			units: slices.Concat(olds, but(units(5, "new", Idle), warmFor(4*time.Second))),
			want:  Plan{Desired: 20, Outdated: 15, Wake: 6 * time.Second},
		},
		"one is enough": {
			units: slices.Concat(olds, but(units(4, "new", Idle), warmFor(4*time.Second)), but(units(1, "proof", Idle), warmFor(proof))),
			want:  Plan{Desired: 20, Outdated: 15, Retire: names("old", 0, 4)},
		},
		"a busy one proves it too": {
			units: slices.Concat(olds, but(units(5, "new", Idle), warmFor(4*time.Second)), but(units(1, "proof", Busy), warmFor(proof))),
			want:  Plan{Desired: 21, Outdated: 15, Retire: names("old", 0, 4)},
		},
	})
}
