// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// decision is a case of a table: what is decided at noon.
type decision struct {
	spec  func(*Spec) // what differs from twenty(); nil: nothing
	units []Unit
	too   []Surplus // what is remembered of a surplus
	want  Plan
}

func decisions(t *testing.T, table map[string]decision) {
	t.Helper()
	for name, tc := range table {
		t.Run(name, func(t *testing.T) {
			s := State{Now: noon, Spec: twenty(), Units: tc.units, Memory: Memory{Surplus: tc.too}}
			if tc.spec != nil {
				tc.spec(&s.Spec)
			}
			got := Decide(s)
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreFields(Plan{}, "Memory"), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("Decide (-want +got):\n%s", diff)
			}
			hold(t, s, got)
		})
	}
}

func TestDecideMakesWhatIsMissing(t *testing.T) {
	decisions(t, map[string]decision{
		"an empty pool is filled to its idle target": {want: Plan{Create: 20, Desired: 20}},
		"a unit that turns busy is replaced": {
			units: slices.Concat(units(19, "idle", Idle), units(1, "busy", Busy)),
			want:  Plan{Create: 1, Desired: 21},
		},
		"a unit that just was made counts before anybody has seen it run (the Python operator's defects 2 and 3)": {
			units: units(20, "new", Starting),
			want:  Plan{Desired: 20},
		},
		"failed, finished and terminating units don't count (defects 15, 21, 22 and 23)": {
			units: slices.Concat(units(17, "idle", Idle), but(units(1, "failed", Failed), wasBusy), units(1, "done", Succeeded), units(1, "leaving", Terminating)),
			want:  Plan{Create: 3, Desired: 20},
		},
		"a fenced unit is replaced before it is gone where there is room below Max": {
			units: slices.Concat(units(19, "idle", Idle), units(1, "fenced", Retiring)),
			want:  Plan{Create: 1, Desired: 20, Retire: []string{"fenced-00"}},
		},
		"a fenced unit holds its place where there is no room": {
			units: slices.Concat(units(19, "idle", Idle), units(1, "fenced", Retiring)),
			spec:  func(s *Spec) { s.Max = 20 },
			want:  Plan{Desired: 20, Retire: []string{"fenced-00"}},
		},
		"a unit that can't work goes, and holds its place until it does": {
			units: slices.Concat(units(19, "idle", Idle), but(units(1, "broken", Failed), func(u *Unit) { u.Ended, u.WasBusy = time.Time{}, true })),
			spec:  func(s *Spec) { s.Max = 20 },
			want:  Plan{Desired: 20, Remove: []string{"broken-00"}},
		},
		"an unknown unit that was busy is replaced (defect 18)": {
			units: slices.Concat(units(19, "idle", Idle), but(units(1, "lost", Unknown), wasBusy)),
			want:  Plan{Create: 1, Desired: 21},
		},
		"an unknown unit that was idle isn't replaced, and goes on counting": {
			units: slices.Concat(units(19, "idle", Idle), units(1, "lost", Unknown)),
			want:  Plan{Desired: 20},
		},
		"a pool of which nothing can be read is left alone (defects 16 and 18)": {
			units: units(20, "lost", Unknown),
			want:  Plan{Desired: 20},
		},
	})
}

func TestDecideKeepsWithinBounds(t *testing.T) {
	decisions(t, map[string]decision{
		"Min asks for more than the idle target": {
			units: units(3, "busy", Busy),
			spec:  func(s *Spec) { s.Min = 30 },
			want:  Plan{Create: 27, Desired: 30},
		},
		"Max wins over Min": {
			spec: func(s *Spec) { s.Min, s.Max = 30, 25 },
			want: Plan{Create: 25, Desired: 25},
		},
		"Max keeps the pool from its idle target, and the plan says so (defect 25)": {
			units: units(90, "busy", Busy),
			want:  Plan{Create: 10, Desired: 100, Limited: true},
		},
		"exactly at Max nothing is short": {
			units: slices.Concat(units(80, "busy", Busy), units(20, "idle", Idle)),
			want:  Plan{Desired: 100},
		},
		"unknown units that were busy count for the limit": {
			units: slices.Concat(units(80, "busy", Busy), units(19, "idle", Idle), but(units(1, "lost", Unknown), wasBusy)),
			want:  Plan{Desired: 100, Limited: true},
		},
		"more at work than Max stay": {
			units: units(110, "busy", Busy),
			too:   []Surplus{{Since: at(-time.Hour), Units: 10}},
			want:  Plan{Desired: 100, Limited: true},
		},
		"more at work than Max leave no idle one": {
			units: slices.Concat(units(100, "busy", Busy), units(2, "idle", Idle)),
			too:   []Surplus{{Since: at(-time.Hour), Units: 2}},
			want:  Plan{Desired: 100, Limited: true, Retire: []string{"idle-00", "idle-01"}},
		},
		"a pool of nothing makes nothing": {
			spec: func(s *Spec) { s.IdleTarget = 0 },
			want: Plan{},
		},
		"a paused pool does nothing": {
			units: slices.Concat(but(units(30, "old", Idle), old), units(1, "fenced", Retiring), units(9, "done", Succeeded)),
			spec:  func(s *Spec) { s.Paused = true },
			too:   []Surplus{{Since: at(-time.Hour), Units: 10}},
			want:  Plan{Desired: 20},
		},
		"a paused pool that is empty stays empty": {
			spec: func(s *Spec) { s.Paused = true },
			want: Plan{Desired: 20},
		},
		"what the server refuses isn't tried": {
			units: units(5, "idle", Idle),
			spec:  func(s *Spec) { s.Refused = true },
			want:  Plan{Desired: 20},
		},
		"what the server refuses may still be too much": {
			units: units(21, "idle", Idle),
			spec:  func(s *Spec) { s.Refused = true },
			too:   []Surplus{{Since: at(-time.Hour), Units: 1}},
			want:  Plan{Desired: 20, Retire: []string{"idle-00"}},
		},
	})
}

func TestDecideSurvivesAbsurdNumbers(t *testing.T) {
	decisions(t, map[string]decision{
		"an idle target beyond all bounds fills the pool to Max": {
			units: units(5, "busy", Busy),
			spec:  func(s *Spec) { s.IdleTarget = math.MaxInt },
			want:  Plan{Create: 95, Desired: 100, Limited: true},
		},
		"without a Max there is no limit to name": {
			units: units(5, "busy", Busy),
			spec:  func(s *Spec) { s.IdleTarget, s.Max = math.MaxInt, math.MaxInt },
			want:  Plan{Create: math.MaxInt - 5, Desired: math.MaxInt},
		},
		"Min beyond all bounds is held by Max": {
			spec: func(s *Spec) { s.Min = math.MaxInt },
			want: Plan{Create: 100, Desired: 100},
		},
		"a negative idle target makes nothing": {
			units: units(5, "busy", Busy),
			spec:  func(s *Spec) { s.IdleTarget = math.MinInt },
			want:  Plan{Desired: 0, Wake: 30 * time.Second},
		},
		"a negative Max is none": {
			spec: func(s *Spec) { s.Max = -1 },
			want: Plan{Desired: 0, Limited: true},
		},
		"a rollout of everything at once leaves one idle unit until there are others": {
			units: but(units(20, "old", Idle), old),
			spec:  func(s *Spec) { s.MaxUnavailable = math.MaxInt },
			want:  Plan{Desired: 20, Outdated: 20, Retire: names("old", 0, 18)},
		},
		"a delay beyond all bounds is waited for": {
			units: units(21, "idle", Idle),
			spec:  func(s *Spec) { s.ScaleDownDelay = math.MaxInt64 },
			want:  Plan{Desired: 20, Wake: math.MaxInt64},
		},
		"everything that finished is kept": {
			units: slices.Concat(units(20, "idle", Idle), units(9, "done", Succeeded), but(units(9, "failed", Failed), wasBusy)),
			spec:  func(s *Spec) { s.KeepFailed, s.KeepSucceeded = math.MaxInt, math.MaxInt },
			want:  Plan{Desired: 20},
		},
	})
}

func TestDecideRemovesWhatFinished(t *testing.T) {
	ended := func(us []Unit) []Unit {
		for i := range us {
			us[i].WasBusy = true
			us[i].Ended = at(-time.Duration(i) * time.Minute) // the last ended first
		}
		return us
	}
	full := units(20, "idle", Idle)
	decisions(t, map[string]decision{
		"the newest that failed and the newest that succeeded are kept to look at (defect 8)": {
			units: slices.Concat(full, ended(units(3, "failed", Failed)), ended(units(5, "done", Succeeded))),
			want:  Plan{Desired: 20, Remove: []string{"failed-01", "failed-02", "done-03", "done-04"}},
		},
		"none is kept where none shall be": {
			units: slices.Concat(full, ended(units(1, "failed", Failed)), ended(units(2, "done", Succeeded))),
			spec:  func(s *Spec) { s.KeepFailed, s.KeepSucceeded = 0, 0 },
			want:  Plan{Desired: 20, Remove: []string{"done-00", "failed-00", "done-01"}},
		},
		"one that runs but can't work is not kept, and takes no other's place (defect 20)": {
			units: slices.Concat(full, ended(units(1, "failed", Failed)), but(units(1, "broken", Failed), func(u *Unit) { u.Ended, u.WasBusy = time.Time{}, true })),
			want:  Plan{Desired: 20, Remove: []string{"broken-00"}},
		},
	})
}
