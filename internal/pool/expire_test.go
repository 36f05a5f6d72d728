// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// since makes units warm for so long.
func since(d time.Duration) func(*Unit) { return func(u *Unit) { u.Warm = at(-d) } }

func TestRetireUnitsThatAreIdleForTooLong(t *testing.T) {
	minute := func(idle, most int) func(*Spec) {
		return func(s *Spec) { s.IdleTarget, s.Max, s.MaxIdle = idle, most, time.Minute }
	}
	decisions(t, map[string]decision{
		"none before its time": {
			units: but(units(3, "a", Idle), since(40*time.Second)),
			spec:  minute(3, 100),
			want:  Plan{Desired: 3, Wake: 20 * time.Second},
		},
		"the one that has been idle for longest": {
			units: slices.Concat(but(units(2, "a", Idle), since(61*time.Second)), but(units(1, "b", Idle), since(time.Hour))),
			spec:  minute(3, 100),
			want:  Plan{Desired: 3, Retire: names("b", 0, 0)},
		},
		"no other while it goes": {
			units: slices.Concat(units(1, "gone", Retiring), units(2, "a", Idle)),
			spec:  minute(2, 100),
			want:  Plan{Desired: 2, Retire: names("gone", 0, 0)},
		},
		"no other while its replacement starts": {
			units: slices.Concat(units(2, "a", Idle), units(1, "new", Starting)),
			spec:  minute(3, 100),
			want:  Plan{Desired: 3},
		},
		"not the only one that is needed: its replacement is made first": {
			units: units(1, "a", Idle),
			spec:  minute(1, 100),
			want:  Plan{Desired: 1, Create: 1},
		},
		"not the only one while its replacement starts": {
			units: slices.Concat(units(1, "a", Idle), units(1, "new", Starting)),
			spec:  minute(1, 100),
			want:  Plan{Desired: 1},
		},
		"and then, and not its replacement": {
			units: slices.Concat(units(1, "a", Idle), but(units(1, "new", Idle), since(time.Second))),
			spec:  minute(1, 100),
			want:  Plan{Desired: 1, Retire: names("a", 0, 0), Wake: 30 * time.Second},
		},
		"not the only one where there is no room for its replacement": {
			units: units(1, "a", Idle),
			spec:  minute(1, 1),
			want:  Plan{Desired: 1},
		},
		"none that works": {
			units: slices.Concat(units(3, "a", Busy), but(units(2, "b", Idle), since(0))),
			spec:  minute(2, 100),
			want:  Plan{Desired: 5, Wake: time.Minute},
		},
		"none where the server refuses what would replace it": {
			units: units(3, "a", Idle),
			spec:  func(s *Spec) { minute(3, 100)(s); s.Refused = true },
			want:  Plan{Desired: 3},
		},
		"none without a limit": {
			units: units(3, "a", Idle),
			spec:  func(s *Spec) { s.IdleTarget = 3 },
			want:  Plan{Desired: 3},
		},
	})
}

// Left alone, a pool replaces all of its units again and again, one at a time, and never has fewer idle ones than it
// promises but for that one, nor none.
func TestUnitsAreReplacedBeforeTheyAreTooOld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "idleTarget")
		spec := Spec{
			Revision: "a", IdleTarget: n, Max: n + rapid.IntRange(1, 5).Draw(t, "room"),
			ScaleDownDelay: rapid.SampledFrom([]time.Duration{0, 30 * time.Second}).Draw(t, "delay"),
			MaxUnavailable: rapid.IntRange(0, 3).Draw(t, "maxUnavailable"),
			MaxIdle:        10 * time.Minute,
		}
		c := newCluster(spec, but(units(n, "first", Idle), since(0)))
		start := seconds(t, 1, 20)
		c.fate = func() fate { return fate{start: start} }
		// One after the other: each takes the start of its replacement, and the second until the old one is gone.
		oldest := spec.MaxIdle + time.Duration(n)*(start+2*time.Second)
		c.watching = func() {
			if idle, least := c.count().Idle, max(1, n-1); idle < least {
				t.Fatalf("%d idle units, at least %d were promised", idle, least)
			}
			for _, m := range c.members {
				if age := c.now.Sub(m.Warm); m.Phase == Idle && age > oldest {
					t.Fatalf("%s has been idle for %v, %v are the most", m.Name, age, oldest)
				}
			}
		}
		c.run(t, at(time.Hour))
		if c.made < 3*n || c.made > 6*n+1 {
			t.Fatalf("%d units made in an hour in place of %d that are replaced every 10 minutes", c.made, n)
		}
	})
}
