// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/bench/internal/load"
	"github.com/paia-tech/hotstandbyjob/bench/internal/measure"
	"github.com/paia-tech/hotstandbyjob/bench/internal/result"
	"github.com/paia-tech/hotstandbyjob/bench/internal/table"
)

const (
	// besideRate is launches a second from the pool beside the one that is emptied.
	besideRate = 5
	// besidePool is how many pods that pool has idle: enough for all of its launches while it isn't refilled.
	besidePool = 200
)

// fullAgain is how long the emptied pool takes.
const fullAgain = "full again"

// ownRuns is how long the cluster's own controller takes for as many pods as the pool has.
const ownRuns = "a Job of as many pods by the cluster's own controller: all run"

// besideWhen is what launches of the other pool take.
func besideWhen(when string) string { return "beside, " + when + ": due → first instruction" }

func refills() Scenario {
	return Scenario{
		Name: "refill",
		About: fmt.Sprintf("A pool on simulated nodes is emptied at once, 32 requests under way, and is full again when as many pods are idle and attached as before. "+
			"Meanwhile another pool of %d pods has %d launches a second at random times, as it has before without that. Beside it: a Job of as many pods by the cluster's own controller, until all of them run, on the same nodes.", besidePool, besideRate),
		Rows: []table.Row{
			{What: "a pool emptied at once is full again", Number: each(fullAgain), Than: "a Job of as many pods, by the cluster's own controller, runs", Beside: each(ownRuns)},
			{What: "launches of another pool meanwhile, p50", Number: each(besideWhen("meanwhile") + " p50"), Than: "before", Beside: each(besideWhen("alone") + " p50")},
		},
		Run: func(ctx context.Context, b Bench) ([]result.Case, error) {
			var cases []result.Case
			size := choose(b, 100, 1000)
			r := refiller{bench: b, pool: simulatedPool("emptied", size), beside: simulatedPool("beside", besidePool)}
			runs, err := r.measure(ctx)
			if err != nil {
				return cases, err
			}
			return append(cases, result.CaseOf(fmt.Sprintf("%d pods", size), runs)), nil
		},
	}
}

// refiller empties a pool.
type refiller struct {
	bench        Bench
	pool, beside *v1alpha1.HotStandbyJob

	*stage
}

func (r *refiller) measure(ctx context.Context) (runs []*measure.Run, err error) {
	err = r.bench.play(ctx, "refill", func(ctx context.Context, s *stage) error {
		r.stage = s
		if err := errors.Join(s.Make(ctx, r.pool), s.Make(ctx, r.beside)); err != nil {
			return err
		}
		if err := s.awaitIdle(ctx, r.pool, r.beside); err != nil {
			return err
		}
		runs, err = r.repeat(fmt.Sprintf("refill of %d pods", r.pool.Spec.IdleTarget), func(run int, into *measure.Run) error {
			over := r.hold()
			err := r.round(ctx, run, into)
			if err = errors.Join(err, r.Clear(ctx)); err != nil {
				return err
			}
			over()
			if err := errors.Join(r.own(ctx, run, into), r.Clear(ctx)); err != nil {
				return err
			}
			r.track.forget()
			return r.awaitIdle(ctx, r.pool, r.beside)
		})
		return err
	})
	return runs, err
}

// round launches beside nothing, and then while the pool is emptied and filled.
func (r *refiller) round(ctx context.Context, run int, into *measure.Run) error {
	size, lasts := int(r.pool.Spec.IdleTarget), choose(r.bench, 3*time.Second, 20*time.Second)
	if run == 0 {
		size, lasts = connections, time.Second
	}
	alone, stop := context.WithTimeout(ctx, lasts)
	defer stop()
	if err := r.launchBeside(alone, run, "alone", into); err != nil {
		return errors.Join(err, ctx.Err())
	}
	filling, full := context.WithCancel(ctx)
	defer full()
	var beside error
	var wait sync.WaitGroup
	wait.Go(func() { beside = r.launchBeside(filling, run, "meanwhile", into) })
	err := r.empty(ctx, run, size, into)
	full()
	wait.Wait()
	return errors.Join(err, beside)
}

// empty launches in so many pods of the pool, in a measurement in all, and waits until it is full again.
func (r *refiller) empty(ctx context.Context, run, size int, into *measure.Run) error {
	word := func(i int) string { return fmt.Sprintf("empty-%d-%04d", run, i) }
	note := watchProcessors(into)
	began := r.bench.Clock.Now()
	_, err := r.pour(ctx, size, func(ctx context.Context, q load.Request) error {
		return r.Make(ctx, launchOf(r.pool, word(q.Index), word(q.Index)))
	})
	if err != nil {
		return err
	}
	if err := r.awaitBegun(ctx, "all have begun", size, word); err != nil {
		return err
	}
	into.Count("all begun", result.Milliseconds, milliseconds(r.bench.Clock.Since(began)))
	if err := r.wait(ctx, "the pool is full", func() bool { return r.track.idleIn(r.pool) == int(r.pool.Spec.IdleTarget) }); err != nil {
		return err
	}
	into.Count(fullAgain, result.Milliseconds, milliseconds(r.bench.Clock.Since(began)))
	if err := note(); err != nil {
		return err
	}
	cold := 0
	for i := range size {
		if r.track.binding(word(i)).cold != "" {
			cold++
		}
	}
	into.Count(coldStarts, result.Count, float64(cold))
	return nil
}

// own has the cluster's own controller make as many pods as the pool has.
func (r *refiller) own(ctx context.Context, run int, into *measure.Run) error {
	if run == 0 {
		return nil
	}
	if err := r.awaitIdle(ctx, r.pool, r.beside); err != nil {
		return err
	}
	name := fmt.Sprintf("own-%d", run)
	j := coldOf(r.pool, name, name)
	j.Spec.Parallelism, j.Spec.Completions = &r.pool.Spec.IdleTarget, &r.pool.Spec.IdleTarget
	began := r.bench.Clock.Now()
	if err := r.Make(ctx, j); err != nil {
		return err
	}
	if err := r.wait(ctx, "all pods of a Job run", func() bool { return len(r.track.ran[name]) == int(r.pool.Spec.IdleTarget) }); err != nil {
		return err
	}
	into.Count(ownRuns, result.Milliseconds, milliseconds(r.bench.Clock.Since(began)))
	return nil
}

// launchBeside launches from the other pool until the context ends.
func (r *refiller) launchBeside(ctx context.Context, run int, when string, into *measure.Run) error {
	// What has been posted begins after that, too: the launch itself mustn't end with the load.
	working := context.WithoutCancel(ctx)
	word := func(i int) string { return fmt.Sprintf("%s-%d-%04d", when, run, i) }
	random := rand.New(rand.NewPCG(r.bench.Seed, uint64(run))) //nolint:gosec // the same load again is what a seed is for
	schedule := load.Poisson(random, besideRate, stepTime)
	due := make([]time.Time, len(schedule))
	var posted, refused atomic.Int64
	load.Offer(ctx, r.bench.Clock, schedule, func(_ context.Context, q load.Request) {
		due[q.Index] = q.Due
		if r.Make(working, launchOf(r.beside, word(q.Index), word(q.Index))) != nil {
			refused.Add(1)
		}
		posted.Add(1)
	})
	if n := refused.Load(); n > 0 {
		return fmt.Errorf("%d launches beside were refused", n)
	}
	n := int(posted.Load())
	if err := r.awaitBegun(working, "the launches beside have begun", n, word); err != nil {
		return err
	}
	for i := range n {
		into.Took(besideWhen(when), 0, r.track.beginnings(word(i))[0].Sub(due[i]))
	}
	return nil
}
