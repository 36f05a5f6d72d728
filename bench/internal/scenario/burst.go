// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/bench/internal/load"
	"github.com/paia-tech/hotstandbyjob/bench/internal/measure"
	"github.com/paia-tech/hotstandbyjob/bench/internal/result"
	"github.com/paia-tech/hotstandbyjob/bench/internal/table"
)

// What the scenario counts, and the table shows.
const (
	allBound = "all bound"
	allRaw   = "raw: all Job POSTs and pod patches"
)

// connections is how many requests a load has under way at the same time. The others wait, and that counts.
const connections = 32

func bursts() Scenario {
	return Scenario{
		Name: "burst",
		About: "As many launches at once as a pool on simulated nodes has pods, each of which holds its stream to the gateway. All are due at the " +
			"same time, and 32 requests are under way at once. Beside it, in the same run: as many Job POSTs, each followed by a pod patch, " +
			"with as many under way. API writes are those of all components, from the burst until all is bound and the pool is full again, " +
			"without the tokens that pods ask for.",
		Rows: []table.Row{
			{What: "300 launches at once, until all are bound", Number: of("300 launches", allBound), Than: "as many Job POSTs and pod patches", Beside: each(allRaw)},
			{What: "3,000 launches at once, until all are bound", Number: of("3000 launches", allBound), Than: "as many Job POSTs and pod patches", Beside: each(allRaw)},
		},
		Run: func(ctx context.Context, b Bench) ([]result.Case, error) {
			var cases []result.Case
			for _, size := range choose(b, []int{300}, []int{50, 300, 1000, 3000}) {
				c := burster{bench: b, size: size, pool: simulatedPool("burst", size)}
				runs, err := c.measure(ctx)
				if err != nil {
					return cases, err
				}
				cases = append(cases, result.CaseOf(fmt.Sprintf("%d launches", size), runs))
			}
			return cases, nil
		},
	}
}

// burster makes many launches at once.
type burster struct {
	bench Bench
	size  int
	pool  *v1alpha1.HotStandbyJob

	*stage
}

func (b *burster) measure(ctx context.Context) (runs []*measure.Run, err error) {
	err = b.bench.play(ctx, fmt.Sprintf("burst-%d", b.size), func(ctx context.Context, s *stage) error {
		b.stage = s
		if err := s.fill(ctx, b.pool); err != nil {
			return err
		}
		runs, err = b.repeat(fmt.Sprintf("burst of %d", b.size), func(run int, into *measure.Run) error {
			size := b.size
			if run == 0 {
				size = min(size, connections)
			}
			if err := b.raw(ctx, run, size, into); err != nil {
				return err
			}
			return b.burst(ctx, run, size, into)
		})
		return err
	})
	return runs, err
}

// raw is what the API server takes for the writes alone.
func (b *burster) raw(ctx context.Context, run, size int, into *measure.Run) error {
	pods, err := idlePods(ctx, b.Space)
	if err != nil {
		return err
	}
	if len(pods) < size {
		return fmt.Errorf("%d pods are idle, not %d", len(pods), size)
	}
	all, err := b.pour(ctx, size, func(ctx context.Context, r load.Request) error {
		_, err := rawWrites(ctx, b.stage, b.pool, fmt.Sprintf("raw-%d-%04d", run, r.Index), &pods[r.Index])
		into.Took("raw: Job POST and pod patch", r.At, b.bench.Clock.Since(r.Due))
		return err
	})
	if err != nil {
		return err
	}
	into.Count(allRaw, result.Milliseconds, milliseconds(all))
	return b.Clear(ctx)
}

// burst makes the launches, and waits until the pool is full again.
func (b *burster) burst(ctx context.Context, run, size int, into *measure.Run) error {
	over := b.hold()
	before, err := b.read(ctx)
	if err != nil {
		return err
	}
	word := func(i int) string { return fmt.Sprintf("burst-%d-%04d", run, i) }
	note := watchProcessors(into)
	began := b.bench.Clock.Now()
	posted, err := b.pour(ctx, size, func(ctx context.Context, r load.Request) error {
		return b.Make(ctx, launchOf(b.pool, word(r.Index), word(r.Index)))
	})
	if err != nil {
		return err
	}
	err = b.waitEach(ctx, "it has begun", size, func(i int) bool {
		return len(b.track.began[word(i)]) > 0 && b.track.bound[word(i)].pods > 0
	})
	if err != nil {
		return err
	}
	if err := note(); err != nil {
		return err
	}
	if err := b.awaitIdle(ctx, b.pool); err != nil {
		return err
	}
	into.Count("all posted", result.Milliseconds, milliseconds(posted))
	into.Count("pool full again", result.Milliseconds, milliseconds(b.bench.Clock.Since(began)))
	after, err := b.read(ctx)
	if err != nil {
		return err
	}
	noteCosts(into, size, before, after)
	err = b.launched(into, began, size, word)
	if err := errors.Join(err, b.Clear(ctx)); err != nil {
		return err
	}
	over()
	b.track.forget()
	return b.awaitIdle(ctx, b.pool)
}

// launched notes what became of the launches.
func (b *burster) launched(into *measure.Run, began time.Time, size int, word func(int) string) error {
	var lastBound, lastBegun time.Duration
	cold := 0
	var faults []error
	for i := range size {
		faults = append(faults, b.checkOnce(word(i)))
		bound := b.track.binding(word(i))
		if bound.cold != "" {
			cold++
		}
		begun := b.track.beginnings(word(i))[0].Sub(began)
		lastBound, lastBegun = max(lastBound, bound.at.Sub(began)), max(lastBegun, begun)
		into.Took("due → claim seen", 0, bound.at.Sub(began))
		into.Took(dueToFirst, 0, begun)
	}
	into.Count(allBound, result.Milliseconds, milliseconds(lastBound))
	into.Count("all begun", result.Milliseconds, milliseconds(lastBegun))
	into.Count(coldStarts, result.Count, float64(cold))
	if base := into.Numbers()[allRaw].Value; base > 0 {
		into.Count("all bound to raw POSTs and patches", result.Times, milliseconds(lastBound)/base)
	}
	return errors.Join(faults...)
}

// pour makes so many requests at once, and returns how long it took until all were answered.
func (s *stage) pour(ctx context.Context, n int, do func(context.Context, load.Request) error) (time.Duration, error) {
	var mu sync.Mutex
	var faults []error
	underway := make(chan struct{}, connections)
	began := s.bench.Clock.Now()
	load.Offer(ctx, s.bench.Clock, load.Burst(n), func(ctx context.Context, r load.Request) {
		underway <- struct{}{}
		defer func() { <-underway }()
		if err := do(ctx, r); err != nil {
			mu.Lock()
			defer mu.Unlock()
			faults = append(faults, err)
		}
	})
	if len(faults) > 0 {
		return 0, fmt.Errorf("%d of %d requests failed, such as: %w", len(faults), n, faults[0])
	}
	return s.bench.Clock.Since(began), ctx.Err()
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
