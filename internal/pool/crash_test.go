// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func crash(start, life time.Duration) func() fate {
	return func() fate { return fate{start: start, life: life} }
}

// oneByOne are units that fail a tenth of a second after one another.
func oneByOne() func() fate {
	n := 0
	return func() fate {
		n++
		return fate{start: time.Minute, life: time.Second + time.Duration(n%20)*100*time.Millisecond}
	}
}

// Twenty at once, then one after each delay, which fails a second later (the Python operator's defect 8).
func TestACrashingTemplateMakesFewUnits(t *testing.T) {
	for name, tc := range map[string]struct {
		have []Unit
		fate func() fate
		want int
	}{
		// 20, and trials after 11, 32, 73, 154 and 315 s. The next would be after 616 s.
		"that never is warm":                      {nil, crash(time.Minute, time.Second), 25},
		"one after the other":                     {nil, oneByOne(), 25},
		"after it was warm for a moment":          {nil, crash(time.Second, 3*time.Second), 25},
		"that was warm too short to prove itself": {nil, crash(time.Second, 10*time.Second), 25},
		// Whoever is warm for 19 s has proved itself: the rest follows each trial, in 6 rounds.
		"after it has proved itself": {nil, crash(time.Second, 20*time.Second), 120},
		// Units that are well speak for the template: all twenty are made in each of 6 rounds.
		"beside units that are well": {units(5, "busy", Busy), crash(time.Minute, time.Second), 120},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(twenty(), tc.have)
			c.fate = tc.fate
			if c.run(t, at(10*time.Minute)); c.made != tc.want {
				t.Errorf("%d units made in ten minutes, want %d", c.made, tc.want)
			}
		})
	}
}

// A restart forgets how often units have failed, but not that they did: one of them is still there to look at.
func TestACrashingTemplateMakesFewUnitsThroughRestarts(t *testing.T) {
	c := newCluster(twenty())
	c.fate = crash(time.Minute, time.Second)
	for minute := range 10 {
		c.memory = Memory{}
		c.run(t, at(time.Duration(minute+1)*time.Minute))
	}
	// 20 and trials after 11 and 32 s in the first minute; then never more than three in a minute.
	if most := 22 + 9*3; c.made > most {
		t.Errorf("%d units made in ten minutes with a restart in each, want at most %d", c.made, most)
	}
}

func TestAPoolRecoversWhenTheCauseIsGone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCluster(twenty())
		start := seconds(t, 1, 30)
		c.fate = crash(start, seconds(t, 1, 60))
		c.run(t, at(seconds(t, 1, 1800)))
		c.cured = true // and nobody changes the spec
		cured := c.now

		c.run(t, cured.Add(MaxBackoff+start+proof))
		if n := c.count(); n.capacity() != 20 {
			t.Fatalf("%+v when the delay, a start and the proof are over", n)
		}
		if c.run(t, c.now.Add(start)); c.count().Idle != 20 {
			t.Fatalf("%+v a start later", c.count())
		}
		if !c.run(t, c.now.Add(2*MaxBackoff)) {
			t.Fatal("not at rest")
		}
		if f := Decide(c.state()).Memory.Failures; f.Rounds != 0 || f.Held != 0 {
			t.Fatalf("still remembers %+v", f)
		}
	})
}

func TestOneFailingUnitAmongHealthyOnesSlowsDownOnlyItsOwnReplacement(t *testing.T) {
	c := newCluster(twenty(), units(20, "idle", Idle), units(1, "failing", Idle))
	c.spec.IdleTarget = 21
	c.run(t, at(time.Second))
	c.members[20].end(Failed, c.now)
	c.sync()
	began := c.now

	// The failing one is made again after its delay, as the only one then, and fails whenever it is made.
	var tries []time.Duration
	for second := range 120 {
		c.now = began.Add(time.Duration(second) * time.Second)
		c.fate = crash(time.Minute, time.Second)
		c.happen()
		if p := c.decide(t); p.Create > 0 {
			tries = append(tries, c.now.Sub(began))
		}
		if second%7 == 3 { // another turns busy, and its replacement is well
			c.fate = crash(0, 0)
			c.busy(c.count().Busy + 1)
			if p := c.decide(t); p.Create != 1 {
				t.Fatalf("makes %d when a unit turns busy %d s after another failed: %+v", p.Create, second, p)
			}
		}
	}
	want := []time.Duration{10 * time.Second, 31 * time.Second, 72 * time.Second}
	if !slices.Equal(tries, want) {
		t.Errorf("the failing unit is made again after %v, want %v", tries, want)
	}
}
