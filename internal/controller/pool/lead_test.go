// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/internal/metric"
	"github.com/paia-tech/hotstandbyjob/internal/pool"
	"github.com/paia-tech/hotstandbyjob/internal/unit"
)

// observer keeps what it is told.
type observer struct {
	last   metric.Pool
	warmed []time.Duration
	gone   int
}

func (o *observer) Decided(_ types.NamespacedName, p metric.Pool) { o.last = p }
func (o *observer) Warmed(_ types.NamespacedName, after time.Duration) {
	o.warmed = append(o.warmed, after)
}
func (o *observer) Gone(types.NamespacedName) { o.gone++ }

func TestWhatAPoolIsLikeIsTold(t *testing.T) {
	c := newCluster(t, pushed)
	o := &observer{}
	c.r.Observer = o
	step := func(want metric.Pool, warmed ...time.Duration) {
		t.Helper()
		c.clock.SetTime(c.clock.Now().Add(3 * time.Second))
		c.pass()
		want.IdleTarget, want.Push, want.UnitSize = 2, true, 1
		if diff := cmp.Diff(want, o.last); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(warmed, o.warmed, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("warm (-want +got):\n%s", diff)
		}
		o.warmed = nil
	}
	step(metric.Pool{Desired: 2, Missing: 2})
	step(metric.Pool{Desired: 2, Starting: 2})
	c.startStandbys()
	step(metric.Pool{Desired: 2, Idle: 2}, 6*time.Second, 6*time.Second)
	c.change(c.podNames()[0], claim)
	step(metric.Pool{Desired: 3, Idle: 1, Busy: 1, Missing: 1})
	c.startStandbys()
	step(metric.Pool{Desired: 3, Idle: 2, Busy: 1}, 3*time.Second) // it was never seen while it started

	c.restart() // what an earlier process saw isn't told of again
	c.r.Observer = o
	step(metric.Pool{Desired: 3, Idle: 2, Busy: 1})

	c.must(c.server.Delete(c.t.Context(), c.pool()))
	c.pass()
	if o.gone != 1 {
		t.Errorf("told %d times that it is gone, want once", o.gone)
	}
}

func TestLeadTime(t *testing.T) {
	created := noon.Truncate(time.Second)
	of := func(phase pool.Phase) []unit.Unit {
		return []unit.Unit{{Unit: pool.Unit{Name: "u", Phase: phase, Created: created}}}
	}
	type step struct {
		at    time.Duration
		units []unit.Unit
		want  []time.Duration
	}
	for name, tc := range map[string]struct {
		made  time.Duration // after its second; 0: by somebody else
		steps []step
	}{
		"one that was made here": {made: 300 * time.Millisecond, steps: []step{
			{at: 400 * time.Millisecond},
			{at: 500 * time.Millisecond, units: of(pool.Starting)},
			{at: 900 * time.Millisecond, units: of(pool.Idle), want: []time.Duration{600 * time.Millisecond}},
			{at: 2 * time.Second, units: of(pool.Unknown)},
			{at: 3 * time.Second, units: of(pool.Idle)},
		}},
		"one that is busy at once": {made: 300 * time.Millisecond, steps: []step{
			{at: 400 * time.Millisecond}, {at: 500 * time.Millisecond, units: of(pool.Busy), want: []time.Duration{200 * time.Millisecond}},
		}},
		"one that was seen soon": {steps: []step{
			{at: 900 * time.Millisecond, units: of(pool.Starting)},
			{at: 1900 * time.Millisecond, units: of(pool.Idle), want: []time.Duration{time.Second}},
		}},
		"one that an earlier process has made": {steps: []step{
			{at: 5 * time.Second, units: of(pool.Starting)}, {at: 7 * time.Second, units: of(pool.Idle), want: []time.Duration{7 * time.Second}},
		}},
		"one that is warm when it is first looked at": {steps: []step{{at: time.Second, units: of(pool.Idle)}, {at: 2 * time.Second, units: of(pool.Idle)}}},
		"one that is not to be found for long":        {made: 300 * time.Millisecond, steps: []step{{at: time.Second}, {at: 2 * time.Minute}, {at: 3 * time.Minute}}},
	} {
		t.Run(name, func(t *testing.T) {
			l := lead{}
			if tc.made > 0 {
				l.made("u", created.Add(tc.made))
			}
			for _, s := range tc.steps {
				if diff := cmp.Diff(s.want, l.look(created.Add(s.at), s.units), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("at %s (-want +got):\n%s", s.at, diff)
				}
			}
			if n := len(tc.steps); tc.steps[n-1].units == nil && len(l.since) > 0 {
				t.Errorf("it still remembers %v", l.since)
			}
		})
	}
}
