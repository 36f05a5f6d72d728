// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestDelayDoublesUpToItsBound(t *testing.T) {
	for rounds, want := range []time.Duration{
		0, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, MaxBackoff, MaxBackoff,
	} {
		if got := (Failures{Rounds: rounds}).Delay(); got != want {
			t.Errorf("the delay after %d rounds is %v, want %v", rounds, got, want)
		}
	}
	if got := (Failures{Rounds: 1 << 40}).Delay(); got != MaxBackoff {
		t.Errorf("the delay after very many rounds is %v, want %v", got, MaxBackoff)
	}
}

// failedAt are units that were made and failed so long before noon.
func failedAt(n int, name string, made, ended time.Duration) []Unit {
	return but(units(n, name, Failed), func(u *Unit) { u.Created, u.Ended = at(-made), at(-ended) })
}

func warmAt(u *Unit, made, warm time.Duration) { u.Created, u.Warm = at(-made), at(-warm) }

func TestWhatIsRememberedOfFailures(t *testing.T) {
	// Three failed in the second round, fifteen seconds before noon, and hold their places for another five.
	before := Failures{Revision: "a", Rounds: 2, Last: at(-15 * time.Second), Held: 3}
	for name, tc := range map[string]struct {
		before Failures
		units  []Unit
		want   Failures
	}{
		"units that fail together are one round": {
			Failures{},
			failedAt(20, "x", time.Minute, 5*time.Second),
			Failures{Revision: "a", Rounds: 1, Last: at(-5 * time.Second), Held: 20},
		},
		"one of the same round that fails later adds to it": {
			before, failedAt(1, "x", time.Minute, 5*time.Second),
			Failures{Revision: "a", Rounds: 2, Last: at(-5 * time.Second), Held: 4},
		},
		"one that was made since begins another round": {
			before, failedAt(1, "x", 10*time.Second, 5*time.Second),
			Failures{Revision: "a", Rounds: 3, Last: at(-5 * time.Second), Held: 4},
		},
		"of two rounds that fail at once in either order the newer counts": {
			before, slices.Concat(failedAt(1, "x", 10*time.Second, 5*time.Second), failedAt(2, "y", time.Minute, 7*time.Second)),
			Failures{Revision: "a", Rounds: 3, Last: at(-5 * time.Second), Held: 6},
		},
		"one that seemed to have failed at work, and had not, is counted when that shows": {
			Failures{Revision: "a"}.observe(State{Now: noon, Spec: twenty(), Units: but(failedAt(1, "x", time.Minute, 5*time.Second), wasBusy)}),
			failedAt(1, "x", time.Minute, 5*time.Second),
			Failures{Revision: "a", Rounds: 1, Last: at(-5 * time.Second), Held: 1},
		},
		"a unit that failed at work is none": {
			before, but(failedAt(1, "x", time.Minute, 5*time.Second), wasBusy), before,
		},
		"a unit of an old revision is none": {
			before, but(failedAt(1, "x", time.Minute, 5*time.Second), old), before,
		},
		"a new revision begins with none": {
			Failures{Revision: "b", Rounds: 7, Last: at(-time.Second), Held: 9}, nil, Failures{Revision: "a"},
		},
		"a unit that doesn't say when it failed does so now": {
			Failures{},
			but(units(1, "x", Failed), func(u *Unit) { u.Ended = time.Time{} }),
			Failures{Revision: "a", Rounds: 1, Last: noon, Held: 1},
		},
		"a unit whose clock is ahead does so now": {
			Failures{},
			failedAt(1, "x", time.Minute, -time.Hour),
			Failures{Revision: "a", Rounds: 1, Last: noon, Held: 1},
		},
		"failures are forgotten when one made since is warm for a minute": {
			Failures{Revision: "a", Rounds: 2, Last: at(-5 * time.Minute), Held: 3},
			but(units(1, "x", Idle), func(u *Unit) { warmAt(u, 2*time.Minute, time.Minute) }),
			Failures{Revision: "a"},
		},
		"they are not when it was made before": {
			before, but(units(1, "x", Idle), func(u *Unit) { warmAt(u, time.Hour, time.Hour) }), before,
		},
		"they are after ten minutes without any": {
			Failures{Revision: "a", Rounds: 9, Last: at(-10 * time.Minute), Held: 3}, nil, Failures{Revision: "a"},
		},
		"they are not a moment before": {
			Failures{Revision: "a", Rounds: 9, Last: at(1 - 10*time.Minute), Held: 3},
			nil,
			Failures{Revision: "a", Rounds: 9, Last: at(1 - 10*time.Minute), Held: 3},
		},
		"places are given back when the delay is over and a unit has proved itself": {
			Failures{Revision: "a", Rounds: 1, Last: at(-15 * time.Second), Held: 3},
			but(units(1, "x", Idle), func(u *Unit) { warmAt(u, 12*time.Second, 10*time.Second) }),
			Failures{Revision: "a", Rounds: 1, Last: at(-15 * time.Second)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := tc.before.observe(State{Now: noon, Spec: twenty(), Units: tc.units})
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreFields(Failures{}, "Counted")); diff != "" {
				t.Errorf("observe (-want +got):\n%s", diff)
			}
			again := got.observe(State{Now: noon, Spec: twenty(), Units: tc.units})
			if diff := cmp.Diff(got, again); diff != "" {
				t.Errorf("seen again (-first +second):\n%s", diff)
			}
			if len(got.Counted) > len(tc.units) {
				t.Errorf("remembers names of units that are gone: %v", got.Counted)
			}
		})
	}
}

func TestWhatIsMadeAfterFailures(t *testing.T) {
	recent := Failures{Rounds: 1, Last: at(-4 * time.Second), Held: 2}
	over := Failures{Rounds: 1, Last: at(-time.Minute), Held: 2}
	warm := func(d time.Duration) []Unit {
		return but(units(1, "x", Idle), func(u *Unit) { warmAt(u, 2*d, d) })
	}
	for name, tc := range map[string]struct {
		failures Failures
		units    []Unit
		n        int
		wake     time.Duration
	}{
		"all that is wanted, when nothing failed":                 {Failures{}, nil, 9, 0},
		"all but what failed, while others are warm":              {recent, warm(time.Second), 7, 6 * time.Second},
		"nothing, while none is":                                  {recent, units(5, "new", Starting), 0, 6 * time.Second},
		"nothing, while only others of an old revision are":       {recent, but(warm(time.Hour), old), 0, 6 * time.Second},
		"one to try it, after the delay":                          {over, nil, 1, proof},
		"no second one while it starts":                           {over, units(1, "new", Starting), 0, proof},
		"no second one until it has proved itself":                {over, warm(3 * time.Second), 0, 7 * time.Second},
		"no second one when its clock is ahead":                   {over, warm(-time.Hour), 0, proof},
		"no second one while nothing can be read of it":           {over, but(warm(time.Hour), hideUnit), 0, proof},
		"another when it is on its way out":                       {over, units(1, "fenced", Retiring), 1, proof},
		"no second one when it doesn't say since when it is warm": {over, but(warm(0), func(u *Unit) { u.Warm = time.Time{} }), 0, proof},
		"all when it has proved itself":                           {over, warm(proof), 9, 0},
		"all when one that was made since has ended well":         {over, but(units(1, "x", Succeeded), func(u *Unit) { u.Created = at(-time.Second) }), 9, 0},
		"one to try it when all that ended well were made before": {over, units(1, "x", Succeeded), 1, proof},
	} {
		t.Run(name, func(t *testing.T) {
			n, wake := tc.failures.allow(State{Now: noon, Units: tc.units}, 9)
			if n != tc.n || wake != tc.wake {
				t.Errorf("allows %d and asks again after %v, want %d and %v", n, wake, tc.n, tc.wake)
			}
		})
	}
	if n, _ := recent.allow(State{Now: noon, Units: warm(time.Second)}, 1); n != 0 {
		t.Errorf("allows %d in the places of two that failed", n)
	}
}

func hideUnit(u *Unit) { u.Phase = Unknown }

func TestThePlanSaysWhenFailedUnitsAreReplaced(t *testing.T) {
	decisions(t, map[string]decision{
		"after the delay": {
			units: slices.Concat(units(19, "idle", Idle), failedAt(1, "x", time.Minute, 4*time.Second)),
			want:  Plan{Desired: 20, Wake: 6 * time.Second, BackoffUntil: at(6 * time.Second)},
		},
		"at once where it is over": {
			units: slices.Concat(units(19, "idle", Idle), failedAt(1, "x", time.Minute, 10*time.Second)),
			want:  Plan{Desired: 20, Create: 1, Wake: 2*MaxBackoff - 10*time.Second},
		},
		"at once where nothing else is missing": {
			units: slices.Concat(units(20, "idle", Idle), failedAt(1, "x", time.Minute, 4*time.Second)),
			want:  Plan{Desired: 20, Wake: 2*MaxBackoff - 4*time.Second},
		},
		"and what turned busy is replaced meanwhile": {
			units: slices.Concat(units(18, "idle", Idle), units(1, "busy", Busy), failedAt(1, "x", time.Minute, 4*time.Second)),
			want:  Plan{Desired: 21, Create: 1, Wake: 6 * time.Second, BackoffUntil: at(6 * time.Second)},
		},
	})
}

// Nothing happens at rest: without a wake-up the pool would tell of failures for ever.
func TestThePlanSaysWhenFailuresAreForgotten(t *testing.T) {
	decisions(t, map[string]decision{
		"when a unit made since has been warm for a minute": {
			units: slices.Concat(units(18, "old", Idle), failedAt(1, "x", 2*time.Minute, time.Minute),
				but(units(2, "new", Idle), func(u *Unit) { warmAt(u, 50*time.Second, 45*time.Second) })),
			want: Plan{Desired: 20, Wake: 15 * time.Second},
		},
		"or when nothing has failed for long": {
			units: slices.Concat(units(20, "old", Idle), failedAt(1, "x", 9*time.Minute, 8*time.Minute)),
			want:  Plan{Desired: 20, Wake: 2 * time.Minute},
		},
		"and never again when they are": {
			units: slices.Concat(units(20, "old", Idle), failedAt(1, "x", time.Hour, 2*MaxBackoff)),
			want:  Plan{Desired: 20},
		},
	})
}
