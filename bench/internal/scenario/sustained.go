// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/bench/internal/load"
	"github.com/paia-tech/hotstandbyjob/bench/internal/measure"
	"github.com/paia-tech/hotstandbyjob/bench/internal/result"
	"github.com/paia-tech/hotstandbyjob/bench/internal/table"
	"github.com/paia-tech/hotstandbyjob/lab"
)

const (
	// warmUp is the beginning of a sustained load, which counts for nothing.
	warmUp = 5 * time.Second
	// workTime is how long the command of a sustained launch runs.
	workTime = time.Second
	// reserve is how many seconds of launches the pool has pods for: as long as refilling may take.
	reserve = 3
	// drainTime is how long launches may still take to begin when the load has ended. What hasn't begun then never will,
	// as far as anybody would wait.
	drainTime = time.Minute
)

// What several scenarios count.
const (
	dueToFirst = "due → first instruction"
	coldStarts = "cold starts"
	neverBegun = "launches refused or never begun"
	allPosted  = "launches"
)

// Of Jobs without a pool at the same times.
const (
	byOwn       = "by the cluster's own controller: "
	ownDueToRun = byOwn + "due → the pod runs"
	ownNeverRan = byOwn + "Jobs refused, or whose pod never ran"
)

// A load breaks what carries it when more than this share starts cold, or when one in a hundred launches takes longer.
const (
	mostCold = 0.01
	slowest  = time.Second
)

// judgedRate is the rate that there is a target for: it is measured also on a machine that a lower one is too much for.
const judgedRate = 45

// ownInNoTime is what the table has beside ours.
const ownInNoTime = "a Job without a pool, whose simulated pod starts in no time"

func sustained() Scenario {
	return Scenario{
		Name: "sustained",
		About: "Launches at random times, so many a second on average, on simulated nodes whose pods hold their streams to the gateway; each works for " +
			"a second, ends and is removed a second later, and the pool has idle pods for three seconds of launches. Rates go up to 45 a second, and on until one is too much: " +
			"a launch is lost, one in a hundred starts cold or takes a second. Latency counts from when " +
			"a launch was due. Beside them, once: as many Jobs at the same times that have no pool and that the cluster's own controller runs, until their pod " +
			"runs, which on these nodes takes no time by itself, and ends at once. API writes are those of a launch's whole life, from its POST to its removal, its replacement included.",
		Rows: []table.Row{
			{What: "Poisson load: due → first instruction, p50", Number: each(dueToFirst + " p50"), Than: ownInNoTime, Beside: each(ownDueToRun + " p50")},
			{What: "the same, p99", Number: each(dueToFirst + " p99"), Than: ownInNoTime, Beside: each(ownDueToRun + " p99")},
			{What: "the same: cold starts", Number: each(coldStarts), Than: "of", Beside: each(allPosted)},
		},
		Run: func(ctx context.Context, b Bench) ([]result.Case, error) {
			var cases []result.Case
			for _, rate := range choose(b, []int{5}, []int{5, 10, 20, judgedRate, 100, 200}) {
				s := sustainer{bench: b, rate: rate, pool: simulatedPool("sustained", max(rate*reserve, connections))}
				runs, err := s.measure(ctx)
				if err != nil {
					return cases, err
				}
				var notes []string
				why := broken(runs)
				if why != "" {
					notes = append(notes, "This is too much: "+why+".")
					b.Say("%s: %s", s.name(), why)
				}
				cases = append(cases, result.CaseOf(s.name(), runs, notes...))
				if why != "" && rate >= judgedRate {
					break
				}
			}
			return cases, nil
		},
	}
}

// broken says why a load was more than could be carried; empty: it wasn't. One run is enough.
func broken(runs []*measure.Run) string {
	for _, r := range runs {
		n := r.Numbers()
		if lost := n[neverBegun].Value; lost > 0 {
			return fmt.Sprintf("%g launches were refused or never began", lost)
		}
		cold, warm := n[coldStarts].Value, float64(len(r.Samples()[dueToFirst])) // the cold ones say no time here
		if share := cold / max(1, cold+warm); share > mostCold {
			return fmt.Sprintf("%.1f %% started cold", 100*share)
		}
		if p99 := r.Percentile(dueToFirst, 99); p99 > slowest {
			return fmt.Sprintf("p99 is %s", p99.Round(10*time.Millisecond))
		}
	}
	return ""
}

// sustainer makes launches for some time.
type sustainer struct {
	bench Bench
	rate  int
	pool  *v1alpha1.HotStandbyJob

	*stage
}

func (s *sustainer) name() string { return fmt.Sprintf("%d launches per second", s.rate) }

func (s *sustainer) measure(ctx context.Context) (runs []*measure.Run, err error) {
	lasts := choose(s.bench, 10*time.Second, time.Minute)
	err = s.bench.play(ctx, fmt.Sprintf("sustained-%d", s.rate), func(ctx context.Context, st *stage) error {
		s.stage = st
		st.work = func(ctx context.Context, _ string) { _ = st.pass(ctx, workTime) }
		if err := st.fill(ctx, s.pool); err != nil {
			return err
		}
		runs, err = s.repeat(s.name(), func(run int, into *measure.Run) error {
			if run == 0 {
				return s.load(ctx, run, warmUp, into)
			}
			if err := s.load(ctx, run, warmUp+lasts, into); err != nil || run < s.bench.Runs || s.bench.Quick {
				return err
			}
			return s.own(ctx, run, warmUp+lasts, into)
		})
		return err
	})
	return runs, err
}

// load makes the launches of one run, and notes what became of them.
func (s *sustainer) load(ctx context.Context, run int, lasts time.Duration, into *measure.Run) error {
	schedule := s.schedule(run, lasts)
	before, err := s.read(ctx)
	if err != nil {
		return err
	}
	note := watchProcessors(into)
	var refused atomic.Int64
	due := make([]time.Time, len(schedule))
	word := func(i int) string { return fmt.Sprintf("run-%d-%05d", run, i) }
	behind := load.Offer(ctx, s.bench.Clock, schedule, func(ctx context.Context, r load.Request) {
		due[r.Index] = r.Due
		j := launchOf(s.pool, word(r.Index), word(r.Index))
		j.Spec.TTLSecondsAfterFinished = new(int32(1))
		if s.Make(ctx, j) != nil {
			refused.Add(1)
		}
	})
	want := len(schedule) - int(refused.Load())
	if err := errors.Join(s.drain(ctx, want), note()); err != nil {
		return err
	}
	begun := s.begun(into, schedule, due, word)
	into.Discard(warmUp)
	into.Count("the load was behind by at most", result.Milliseconds, milliseconds(behind))
	into.Count(neverBegun, result.Count, float64(len(schedule)-begun))
	into.Count(allPosted, result.Count, float64(len(schedule)))
	err = s.Clear(ctx)
	s.track.forget()
	if err = errors.Join(err, s.awaitIdle(ctx, s.pool)); err != nil {
		return err
	}
	after, err := s.read(ctx)
	if err != nil {
		return err
	}
	noteCosts(into, max(begun, 1), before, after)
	return nil
}

// schedule is when the launches of a run are due.
func (s *sustainer) schedule(run int, lasts time.Duration) load.Schedule {
	random := rand.New(rand.NewPCG(s.bench.Seed, uint64(run))) //nolint:gosec // the same load again is what a seed is for
	return load.Poisson(random, float64(s.rate), lasts)
}

// own makes Jobs without a pool at the times of a run, and notes when their pods ran.
func (s *sustainer) own(ctx context.Context, run int, lasts time.Duration, into *measure.Run) error {
	schedule := s.schedule(run, lasts)
	due := make([]time.Time, len(schedule))
	name := func(i int) string { return fmt.Sprintf("own-%d-%05d", run, i) }
	processors := &measure.Run{}
	note := watchProcessors(processors)
	var refused atomic.Int64
	load.Offer(ctx, s.bench.Clock, schedule, func(ctx context.Context, r load.Request) {
		due[r.Index] = r.Due
		j := coldOf(s.pool, name(r.Index), name(r.Index))
		j.Spec.TTLSecondsAfterFinished = new(int32(1))
		j.Spec.Template.Annotations = map[string]string{lab.ExitAnnotation: "0"}
		if s.Make(ctx, j) != nil {
			refused.Add(1)
		}
	})
	want := len(schedule) - int(refused.Load())
	err := s.beforeDrained(ctx, "all pods have run", func() bool { return len(s.track.ran) >= want })
	if err = errors.Join(err, note()); err != nil {
		return err
	}
	never := 0
	for i, at := range schedule {
		if ran := s.track.firstRun(name(i)); !ran.IsZero() {
			into.Took(ownDueToRun, at, ran.Sub(due[i]))
		} else {
			never++
		}
	}
	into.Discard(warmUp)
	into.Count(ownNeverRan, result.Count, float64(never))
	for number, n := range processors.Numbers() {
		into.Count(byOwn+number, n.Unit, n.Value)
	}
	err = s.Clear(ctx)
	s.track.forget()
	return errors.Join(err, s.awaitIdle(ctx, s.pool))
}

// drain waits until all launches have begun, though not for ever: that some don't is a result. On a simulated node those that
// start cold never say that they began.
func (s *sustainer) drain(ctx context.Context, want int) error {
	return s.beforeDrained(ctx, "all launches have begun", func() bool { return len(s.track.bound) >= want && len(s.track.began)+s.track.cold >= want })
}

// beforeDrained waits for something that need not become so.
func (s *sustainer) beforeDrained(ctx context.Context, what string, holds func() bool) error {
	waiting, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	err := s.track.await(waiting, what, holds)
	if errors.Is(err, context.DeadlineExceeded) {
		return ctx.Err()
	}
	return err
}

// begun notes the latencies, and returns how many launches have begun. One that started cold runs no command on a simulated
// node: it has begun when its pod is there, which is too early, and is counted for itself.
func (s *sustainer) begun(into *measure.Run, schedule load.Schedule, due []time.Time, word func(int) string) (begun int) {
	cold := 0
	for i, at := range schedule {
		b := s.track.binding(word(i))
		if b.pods > 0 {
			into.Took("due → claim seen", at, b.at.Sub(due[i]))
		}
		if b.cold != "" {
			cold++
			begun++
		}
		if times := s.track.beginnings(word(i)); len(times) > 0 {
			into.Took(dueToFirst, at, times[0].Sub(due[i]))
			begun++
		}
	}
	into.Count(coldStarts, result.Count, float64(cold))
	return begun
}
