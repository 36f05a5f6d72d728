// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"
)

// noon is when every test begins.
var noon = time.Date(2026, time.January, 1, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return noon.Add(d) }

// units are n current units that have been in a phase for an hour, named a-00, a-01 and so on.
func units(n int, name string, phase Phase) []Unit {
	made := make([]Unit, 0, n)
	for i := range n {
		u := Unit{Name: fmt.Sprintf("%s-%02d", name, i), Phase: phase, Current: true, Created: at(-time.Hour)}
		switch phase {
		case Idle, Busy:
			u.Running, u.Warm = true, at(-time.Hour)
		case Failed, Succeeded:
			u.Running, u.Ended = true, at(-time.Hour)
		case Starting, Unknown, Retiring, Terminating:
		}
		made = append(made, u)
	}
	return made
}

// but are the units with something else about them.
func but(us []Unit, change func(*Unit)) []Unit {
	for i := range us {
		change(&us[i])
	}
	return us
}

func old(u *Unit)     { u.Current = false }
func wasBusy(u *Unit) { u.WasBusy = true }

// twenty is the pool of the seed's example: 20 idle units, at most 100.
func twenty() Spec {
	return Spec{Revision: "a", IdleTarget: 20, Max: 100, ScaleDownDelay: 30 * time.Second, MaxUnavailable: 5, KeepFailed: 1, KeepSucceeded: 3}
}

// fate is what becomes of a unit that is made.
type fate struct {
	start time.Duration // until it is warm
	life  time.Duration // until it crashes; 0: it doesn't
}

// member is a unit of the model cluster.
type member struct {
	Unit
	seen   Unit      // as the watch shows it
	starts time.Time // Starting: when it will be warm
	fails  time.Time // zero: never
	goes   time.Time // Terminating: when it is gone
	gone   bool      // though the watch may still show it
}

// cluster plays plans. The view that decisions are made from has all of the operator's own writes; everything else in
// it may be old.
type cluster struct {
	now     time.Time
	spec    Spec
	members []*member
	memory  Memory
	fate    func() fate
	cured   bool // what would crash from now on doesn't
	lags    bool // the watch shows nothing new

	made     int
	retired  []string      // in the order in which they were fenced
	surplus  []observation // what decisions have seen since the last restart or pause
	watching func()        // called after every decision
}

type observation struct {
	at    time.Time
	units int
}

func newCluster(spec Spec, have ...[]Unit) *cluster {
	c := &cluster{now: noon, spec: spec, fate: func() fate { return fate{start: time.Second} }, watching: func() {}}
	for _, u := range slices.Concat(have...) {
		c.members = append(c.members, &member{Unit: u, seen: u, starts: at(time.Second)})
	}
	return c
}

func (c *cluster) state() State {
	s := State{Now: c.now, Spec: c.spec, Memory: c.memory}
	for _, m := range c.members {
		m.seen.Current = m.Current // a revision is a label: no need to watch for it
		s.Units = append(s.Units, m.seen)
	}
	return s
}

// count counts the units as they are.
func (c *cluster) count() Count {
	var us []Unit
	for _, m := range c.members {
		if !m.gone {
			us = append(us, m.Unit)
		}
	}
	return Counted(us)
}

func (c *cluster) decide(t rapid.TB) Plan {
	t.Helper()
	s := c.state()
	c.observe(s)
	p := Decide(s)
	hold(t, s, p)
	c.holdDelay(t, s, p)
	c.act(p)
	c.memory = p.Memory
	if n := c.count(); p.Create > 0 && n.capacity()+n.Retiring > c.spec.Max {
		t.Fatalf("%d units are live, Max is %d: %+v", n.capacity()+n.Retiring, c.spec.Max, n)
	}
	c.watching()
	return p
}

func (c *cluster) act(p Plan) {
	for _, m := range c.members {
		switch {
		case slices.Contains(p.Remove, m.Name):
			m.Phase, m.goes = Terminating, c.now.Add(time.Second)
			m.seen = m.Unit
		case slices.Contains(p.Retire, m.Name):
			c.fence(m)
		}
	}
	for range p.Create {
		c.made++
		f := c.fate()
		u := Unit{Name: fmt.Sprintf("made-%d", c.made), Current: true, Created: c.now}
		m := &member{Unit: u, seen: u, starts: c.now.Add(f.start)}
		if f.life > 0 {
			m.fails = c.now.Add(f.life)
		}
		c.members = append(c.members, m)
	}
}

// fence is the patch that tests the state before it changes it: whether it succeeds or not, the answer is the truth.
func (c *cluster) fence(m *member) {
	switch {
	case m.gone:
		m.Phase = Terminating
	case m.Phase == Retiring:
		m.Phase, m.goes = Terminating, c.now.Add(time.Second)
	case m.Phase == Idle || m.Phase == Starting:
		m.Phase = Retiring
		c.retired = append(c.retired, m.Name)
	}
	m.seen = m.Unit
}

// happen lets happen what is due.
func (c *cluster) happen() {
	for _, m := range c.members {
		if m.Phase == Starting && !m.starts.After(c.now) {
			m.Phase, m.Running, m.Warm = Idle, true, m.starts
		}
		if m.crashing() && !m.fails.After(c.now) {
			if !c.cured {
				m.end(Failed, m.fails)
			}
			m.fails = time.Time{}
		}
		if m.Phase == Terminating && !m.goes.After(c.now) {
			m.gone = true
		}
	}
	c.sync()
}

func (m *member) end(phase Phase, when time.Time) {
	m.WasBusy = m.Phase == Busy || m.Phase == Unknown && m.WasBusy
	m.Phase, m.Ended = phase, when
}

func (m *member) live() bool { return m.Phase <= Retiring }

func (m *member) crashing() bool { return m.live() && !m.fails.IsZero() }

// sync shows the units as they are.
func (c *cluster) sync() {
	if c.lags {
		return
	}
	c.members = slices.DeleteFunc(c.members, func(m *member) bool { return m.gone })
	for _, m := range c.members {
		m.seen = m.Unit
	}
}

// run decides when something happened and when a plan asked for it, and at no other time. It says whether the pool came
// to rest before the end: nothing to do, nothing under way, and no wish to look again.
func (c *cluster) run(t rapid.TB, end time.Time) bool {
	t.Helper()
	c.happen()
	for range 5000 {
		p := c.decide(t)
		if acts(p) {
			c.happen()
			continue
		}
		next := c.next(p.Wake)
		switch {
		case next.IsZero():
			c.now = end
			return true
		case next.After(end):
			c.now = end
			c.happen()
			return false
		}
		c.now = next
		c.happen()
	}
	t.Fatalf("5000 decisions, and no end: %+v", c.count())
	return false
}

// next is when something will happen, or the plan wants to be asked again.
func (c *cluster) next(wake time.Duration) time.Time {
	var next time.Time
	sooner := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	if wake > 0 {
		sooner(c.now.Add(wake))
	}
	for _, m := range c.members {
		if m.Phase == Starting {
			sooner(m.starts)
		}
		if m.crashing() {
			sooner(m.fails)
		}
		if m.Phase == Terminating && !m.gone {
			sooner(m.goes)
		}
	}
	return next
}

func acts(p Plan) bool { return p.Create > 0 || len(p.Retire) > 0 || len(p.Remove) > 0 }
