// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// names are those of a range of units.
func names(name string, from, to int) []string {
	var all []string
	for i := from; i <= to; i++ {
		all = append(all, fmt.Sprintf("%s-%02d", name, i))
	}
	return all
}

func TestRetireWhatIsTooMany(t *testing.T) {
	decisions(t, map[string]decision{
		"a surplus is not retired when it is seen first, but looked at again (the Python operator's defects 4 and 5)": {
			units: units(25, "idle", Idle),
			want:  Plan{Desired: 20, Wake: 30 * time.Second},
		},
		"a surplus is not retired one nanosecond early": {
			units: units(25, "idle", Idle),
			too:   []Surplus{{Since: at(1 - 30*time.Second), Units: 5}},
			want:  Plan{Desired: 20, Wake: 1},
		},
		"a surplus is retired when it has lasted": {
			units: units(25, "idle", Idle),
			too:   []Surplus{{Since: at(-30 * time.Second), Units: 5}},
			want:  Plan{Desired: 20, Retire: names("idle", 0, 4)},
		},
		"without a delay it is retired at once": {
			units: units(22, "idle", Idle),
			spec:  func(s *Spec) { s.ScaleDownDelay = 0 },
			want:  Plan{Desired: 20, Retire: names("idle", 0, 1)},
		},
		"only what was too much all the time is retired, the rest later": {
			units: units(28, "idle", Idle),
			too:   []Surplus{{Since: at(-40 * time.Second), Units: 3}, {Since: at(-10 * time.Second), Units: 8}},
			want:  Plan{Desired: 20, Retire: names("idle", 0, 2), Wake: 20 * time.Second},
		},
		"a surplus of unknown units is none: unknown is busy (defects 5 and 18)": {
			units: slices.Concat(units(10, "lost", Unknown), units(20, "idle", Idle)),
			too:   []Surplus{{Since: at(-time.Hour), Units: 10}},
			want:  Plan{Desired: 20},
		},
		"busy units stay when everything else is too much": {
			units: slices.Concat(units(5, "busy", Busy), units(2, "lost", Unknown), units(4, "idle", Idle)),
			spec:  func(s *Spec) { s.IdleTarget = 0 },
			too:   []Surplus{{Since: at(-time.Hour), Units: 9}},
			want:  Plan{Desired: 5, Retire: names("idle", 0, 3)},
		},
		"units that start go before idle ones": {
			units: slices.Concat(units(20, "idle", Idle), units(3, "new", Starting)),
			too:   []Surplus{{Since: at(-time.Hour), Units: 3}},
			want:  Plan{Desired: 20, Retire: names("new", 0, 2)},
		},
		"what is idle stays while too many are starting, though it is older": {
			units: slices.Concat(but(units(20, "old", Idle), old), units(2, "new", Starting)),
			spec:  func(s *Spec) { s.MaxUnavailable = 0 },
			too:   []Surplus{{Since: at(-time.Hour), Units: 2}},
			want:  Plan{Desired: 20, Retire: names("new", 0, 1)},
		},
		"a fenced unit stays chosen whatever else is so": {
			units: slices.Concat(units(20, "idle", Idle), units(2, "fenced", Retiring)),
			want:  Plan{Desired: 20, Retire: names("fenced", 0, 1)},
		},
	})
}

func TestCheapestGoFirst(t *testing.T) {
	u := func(name string, phase Phase, change func(*Unit)) Unit {
		all := but(units(1, "x", phase), change)
		all[0].Name = name
		return all[0]
	}
	same := func(*Unit) {}
	want := []Unit{
		u("old, not running", Starting, old),
		u("old, idle", Idle, old),
		u("not running", Starting, same),
		u("running, not warm", Starting, func(u *Unit) { u.Running = true }),
		u("cordoned", Idle, func(u *Unit) { u.Cordoned = true }),
		u("at the tail", Idle, func(u *Unit) { u.Index = 7 }),
		u("before the tail", Idle, func(u *Unit) { u.Index = 6 }),
		u("young", Idle, func(u *Unit) { u.Created = at(-time.Minute) }),
		u("a", Idle, same),
		u("b", Idle, same),
	}
	never := slices.Concat(units(1, "busy", Busy), units(1, "lost", Unknown), units(1, "fenced", Retiring),
		units(1, "leaving", Terminating), units(1, "failed", Failed), units(1, "done", Succeeded))
	rapid.Check(t, func(t *rapid.T) {
		mixed := rapid.Permutation(slices.Concat(want, never)).Draw(t, "units")
		if diff := cmp.Diff(want, cheapestFirst(State{Now: noon, Units: mixed})); diff != "" {
			t.Errorf("cheapestFirst (-want +got):\n%s", diff)
		}
	})
}

// scene lets a pool live through times at which so many units are busy, and notes when how many were fenced.
func scene(t *testing.T, c *cluster, busy map[time.Duration]int, end time.Duration) string {
	t.Helper()
	var log []string
	known := 0
	c.watching = func() {
		if n := len(c.retired) - known; n > 0 {
			log = append(log, fmt.Sprintf("%d at %v", n, c.now.Sub(noon)))
		}
		known = len(c.retired)
	}
	for when := time.Duration(0); when <= end; when += time.Second {
		c.run(t, at(when))
		if n, ok := busy[when]; ok {
			c.busy(n)
		}
	}
	return strings.Join(log, ", ")
}

// busy makes exactly n of the units busy that are warm.
func (c *cluster) busy(n int) {
	for _, m := range c.members {
		if m.Phase == Busy || m.Phase == Idle {
			m.Phase = Idle
			if n > 0 {
				n--
				m.Phase = Busy
			}
		}
	}
	c.sync()
}

func TestScaleDownWaitsForTheWholeDelay(t *testing.T) {
	for name, tc := range map[string]struct {
		busy map[time.Duration]int
		want string
	}{
		"after a peak": {
			map[time.Duration]int{0: 10, 60 * time.Second: 0}, "10 at 1m30s",
		},
		"a second peak begins it anew": {
			map[time.Duration]int{0: 10, 60 * time.Second: 0, 80 * time.Second: 10, 85 * time.Second: 0}, "10 at 1m55s",
		},
		"a dip within keeps what was needed then": {
			map[time.Duration]int{0: 10, 60 * time.Second: 0, 70 * time.Second: 7, 80 * time.Second: 0}, "3 at 1m30s, 7 at 1m50s",
		},
		"a surplus that grows goes step by step": {
			map[time.Duration]int{0: 10, 60 * time.Second: 6, 75 * time.Second: 0}, "4 at 1m30s, 6 at 1m45s",
		},
		"a peak at the last moment keeps all": {
			map[time.Duration]int{0: 10, 60 * time.Second: 0, 89 * time.Second: 10}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(twenty(), units(20, "idle", Idle))
			if got := scene(t, c, tc.busy, 3*time.Minute); got != tc.want {
				t.Errorf("fenced %q, want %q", got, tc.want)
			}
		})
	}
}

func TestALowerIdleTargetLeavesBusyUnitsUntouched(t *testing.T) {
	c := newCluster(twenty(), units(20, "idle", Idle), units(5, "busy", Busy))
	c.run(t, at(time.Minute))
	c.spec.IdleTarget = 2
	if c.run(t, at(90*time.Second-1)); len(c.retired) > 0 {
		t.Fatalf("%v are retired before the delay is over", c.retired)
	}
	if !c.run(t, at(2*time.Minute)) {
		t.Fatal("not at rest")
	}
	if diff := cmp.Diff(Count{Busy: 5, Idle: 2}, c.count()); diff != "" {
		t.Errorf("units (-want +got):\n%s", diff)
	}
	for _, name := range c.retired {
		if !strings.HasPrefix(name, "idle-") {
			t.Errorf("%s is retired", name)
		}
	}
}

func TestAPauseEndsASurplus(t *testing.T) {
	c := newCluster(twenty(), units(25, "idle", Idle))
	c.run(t, at(20*time.Second))
	c.spec.Paused = true
	c.run(t, at(40*time.Second))
	c.spec.Paused = false
	if c.run(t, at(70*time.Second-1)); len(c.retired) > 0 {
		t.Fatalf("%v are retired before a whole delay is over", c.retired)
	}
	if c.run(t, at(2*time.Minute)); c.count().Idle != 20 {
		t.Errorf("%+v, want 20 idle units", c.count())
	}
}

func TestWhatHasGoneIsNoSurplusAnyMore(t *testing.T) {
	s := State{Now: noon, Spec: twenty(), Units: units(28, "idle", Idle)}
	s.Memory.Surplus = []Surplus{{Since: at(-40 * time.Second), Units: 3}, {Since: at(-10 * time.Second), Units: 8}}
	want := []Surplus{{Since: at(-10 * time.Second), Units: 5}}
	if diff := cmp.Diff(want, Decide(s).Memory.Surplus); diff != "" {
		t.Errorf("surplus (-want +got):\n%s", diff)
	}
}
