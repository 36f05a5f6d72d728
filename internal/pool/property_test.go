// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever happens, every plan holds the invariants, and when nothing happens any more the pool comes to rest where it
// should.
func TestWhateverHappensThePoolSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCluster(anySpec(t))
		c.fate = anyFate(t)
		t.Repeat(map[string]func(*rapid.T){
			"decide":         func(t *rapid.T) { c.decide(t) },
			"decide twice":   func(t *rapid.T) { c.decide(t); c.decide(t) },
			"time passes":    func(t *rapid.T) { c.pass(seconds(t, 1, 40)) },
			"much time":      func(t *rapid.T) { c.pass(seconds(t, 60, 900)) },
			"run for a time": func(t *rapid.T) { c.run(t, c.now.Add(seconds(t, 1, 60))) },
			"turn busy": func(t *rapid.T) {
				c.change(t, func(m *member) { m.Phase = Busy }, Idle, Retiring)
			},
			"turn idle":  func(t *rapid.T) { c.change(t, func(m *member) { m.Phase = Idle }, Busy) },
			"be unknown": func(t *rapid.T) { c.change(t, hide, Idle, Busy) },
			"be known":   func(t *rapid.T) { c.change(t, reveal, Unknown) },
			"succeed": func(t *rapid.T) {
				c.change(t, func(m *member) { m.end(Succeeded, c.now) }, Starting, Idle, Busy, Unknown, Retiring)
			},
			"fail": func(t *rapid.T) {
				c.change(t, func(m *member) { m.end(Failed, c.now) }, Starting, Idle, Busy, Unknown, Retiring)
			},
			"can't work": func(t *rapid.T) {
				c.change(t, func(m *member) { m.end(Failed, time.Time{}) }, Starting, Idle)
			},
			"disappear":     func(t *rapid.T) { c.change(t, func(m *member) { m.gone = true }, Idle, Busy, Failed, Terminating) },
			"cordon":        func(t *rapid.T) { c.change(t, func(m *member) { m.Cordoned = !m.Cordoned }, Idle, Starting) },
			"new spec":      func(t *rapid.T) { c.respec(anySpec(t)) },
			"new fates":     func(t *rapid.T) { c.fate = anyFate(t) },
			"watch lags":    func(*rapid.T) { c.lags = true },
			"watch is back": func(*rapid.T) { c.lags = false; c.sync() },
			"restart":       func(*rapid.T) { c.memory, c.surplus = Memory{}, nil },
		})
		c.settles(t)
	})
}

func anySpec(t *rapid.T) Spec {
	return Spec{
		Revision:       rapid.SampledFrom([]string{"a", "a", "b"}).Draw(t, "revision"),
		IdleTarget:     rapid.IntRange(0, 12).Draw(t, "idleTarget"),
		Min:            rapid.IntRange(0, 15).Draw(t, "min"),
		Max:            rapid.SampledFrom([]int{0, 1, 5, 12, 25, 1 << 30}).Draw(t, "max"),
		ScaleDownDelay: rapid.SampledFrom([]time.Duration{0, time.Second, 30 * time.Second, 10 * time.Minute}).Draw(t, "delay"),
		MaxUnavailable: rapid.IntRange(0, 5).Draw(t, "maxUnavailable"),
		MaxIdle:        rapid.SampledFrom([]time.Duration{0, 0, 10 * time.Second, 5 * time.Minute}).Draw(t, "maxIdle"),
		KeepFailed:     rapid.IntRange(0, 2).Draw(t, "keepFailed"),
		KeepSucceeded:  rapid.IntRange(0, 2).Draw(t, "keepSucceeded"),
		Paused:         rapid.IntRange(0, 5).Draw(t, "paused") == 5,
		Refused:        rapid.IntRange(0, 5).Draw(t, "refused") == 5,
	}
}

// anyFate is one of units that live for ever, or of units that crash before or after they are warm.
func anyFate(t *rapid.T) func() fate {
	f := fate{start: seconds(t, 1, 8)}
	if rapid.Bool().Draw(t, "crashing") {
		f.life = seconds(t, 1, 80)
	}
	return func() fate { return f }
}

func seconds(t *rapid.T, from, to int) time.Duration {
	return time.Duration(rapid.IntRange(from, to).Draw(t, "seconds")) * time.Second
}

func (c *cluster) pass(d time.Duration) {
	c.now = c.now.Add(d)
	c.happen()
}

// change changes any unit that is in one of the phases.
func (c *cluster) change(t *rapid.T, how func(*member), phases ...Phase) {
	var may []*member
	for _, m := range c.members {
		if slices.Contains(phases, m.Phase) && !m.gone {
			may = append(may, m)
		}
	}
	if len(may) == 0 {
		t.Skip("no such unit")
	}
	how(rapid.SampledFrom(may).Draw(t, "unit"))
	c.sync()
}

// GoString keeps the log of a failing case short.
func (m *member) GoString() string { return fmt.Sprintf("%s(%d)", m.Name, m.Phase) }

func hide(m *member)   { m.WasBusy, m.Phase = m.Phase == Busy, Unknown }
func reveal(m *member) { m.Phase = map[bool]Phase{true: Busy, false: Idle}[m.WasBusy] }

func (c *cluster) respec(s Spec) {
	if s.Revision != c.spec.Revision {
		for _, m := range c.members {
			m.Current = !m.Current // there are two revisions
		}
	}
	c.spec = s
}

// settles holds that with nothing happening but what was decided, the pool comes to rest in bounded time and with a
// bounded number of decisions, with as many units as desired, and without going to and fro.
func (c *cluster) settles(t *rapid.T) {
	t.Helper()
	c.lags, c.cured, c.spec.Paused = false, true, false
	c.spec.MaxIdle = 0 // with it there is always one to be replaced
	c.happen()
	replacing := c.spec.MaxUnavailable > 0 && slices.ContainsFunc(c.members, func(m *member) bool { return !m.Current && m.live() })
	made, retired, decisions := c.made, len(c.retired), 0
	c.watching = func() { decisions++ }
	// Every unit may have to be replaced, one after the other; a trial has to wait for a unit that stays unknown.
	limit := 2*MaxBackoff + c.spec.ScaleDownDelay + proof + time.Duration(len(c.members)+30)*10*time.Second
	most := 10 * (len(c.members) + 30)
	if !c.run(t, c.now.Add(limit)) || decisions > most {
		t.Fatalf("not at rest after %v or %d decisions (%d): %+v", limit, most, decisions, c.state())
	}
	c.atRest(t)
	c.steady(t, made, c.retired[retired:], replacing)
}

// steady holds that no unit was retired that was made since, and, but for a rollout, none was made and another retired.
func (c *cluster) steady(t *rapid.T, made int, retired []string, replacing bool) {
	t.Helper()
	for _, name := range retired {
		var n int
		if _, err := fmt.Sscanf(name, "made-%d", &n); err == nil && n > made {
			t.Fatalf("has made %s and retired it", name)
		}
	}
	if c.made > made && len(retired) > 0 && !replacing {
		t.Fatalf("has made %d and retired %v", c.made-made, retired)
	}
}

// atRest holds that there are exactly as many units as desired. Those at work may be more than that, and unknown ones
// may be at work or not.
func (c *cluster) atRest(t *rapid.T) {
	t.Helper()
	s := c.state()
	n, p := c.count(), Decide(s)
	if acts(p) || p.Wake != 0 || !p.BackoffUntil.IsZero() || n.Retiring+n.Starting > 0 {
		t.Fatalf("at rest with %+v, and still %+v", n, p)
	}
	have, working := n.Idle+n.Busy+n.Unknown, n.Busy+n.Unknown
	if most := max(working, formula(s.Spec, working)); have > most {
		t.Fatalf("%d units at rest, more than %d: %+v", have, most, n)
	}
	if s.Spec.Refused {
		return // nothing is made that could be missing or replace others
	}
	if least := formula(s.Spec, n.Busy+n.WasBusy); have < least {
		t.Fatalf("%d units at rest, less than %d: %+v", have, least, n)
	}
	if p.Outdated > 0 && n.Unknown == 0 { // a rollout waits while unknown units may be missing among the idle
		t.Fatalf("%d units of an old revision at rest", p.Outdated)
	}
}

// Also in states that no cluster is ever in, a plan breaks nothing.
func TestAnyStateHasAPlan(t *testing.T) {
	when := rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.IntRange(0, 3).Draw(t, "none") == 0 {
			return time.Time{}
		}
		return at(time.Duration(rapid.IntRange(-1200, 30).Draw(t, "seconds")) * time.Second)
	})
	unit := rapid.Custom(func(t *rapid.T) Unit {
		return Unit{
			Name:  rapid.StringMatching(`[a-z]{1,3}`).Draw(t, "name"),
			Phase: rapid.SampledFrom([]Phase{Starting, Idle, Busy, Unknown, Retiring, Terminating, Failed, Succeeded}).Draw(t, "phase"),

			Created: when.Draw(t, "created"), Warm: when.Draw(t, "warm"), Ended: when.Draw(t, "ended"),

			Running: rapid.Bool().Draw(t, "running"), WasBusy: rapid.Bool().Draw(t, "wasBusy"),
			Current: rapid.Bool().Draw(t, "current"), Cordoned: rapid.Bool().Draw(t, "cordoned"),
			Index: rapid.IntRange(0, 3).Draw(t, "index"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		s := State{Now: noon, Spec: anySpec(t)}
		s.Units = rapid.SliceOfNDistinct(unit, 0, 30, func(u Unit) string { return u.Name }).Draw(t, "units")
		for range rapid.IntRange(1, 4).Draw(t, "decisions") {
			p := Decide(s)
			hold(t, s, p)
			turned := s
			turned.Units = rapid.Permutation(s.Units).Draw(t, "order")
			hold(t, turned, p)
			if got := Decide(turned); got.Create != p.Create || got.Wake != p.Wake || len(got.Retire) != len(p.Retire) {
				t.Fatalf("in another order:\n%+v\nand before:\n%+v", got, p)
			}
			s.Memory, s.Now = p.Memory, s.Now.Add(seconds(t, 0, 60))
		}
	})
}

// A view that shows nothing but the operator's own writes leads to no unit too many (the Python operator's defect 2).
func TestAStaleViewNeverMakesTooMany(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCluster(twenty())
		c.lags = true
		for range 20 {
			c.run(t, c.now.Add(seconds(t, 0, 5)))
		}
		if c.made != 20 || c.count().Idle != 20 {
			t.Fatalf("%d units made, and %+v", c.made, c.count())
		}
		c.spec.IdleTarget = 2 // what turns busy without being seen is saved by the fence
		c.busy(5)
		c.run(t, c.now.Add(time.Minute))
		if c.lags = false; !c.run(t, c.now.Add(time.Hour)) {
			t.Fatal("not at rest")
		}
		if n := c.count(); n.Busy != 5 || n.Idle != 2 {
			t.Fatalf("%+v, want 5 busy and 2 idle units", n)
		}
	})
}
