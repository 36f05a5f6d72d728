// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/procfs"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/bench/internal/cluster"
	"github.com/paia-tech/hotstandbyjob/bench/internal/load"
	"github.com/paia-tech/hotstandbyjob/bench/internal/machine"
	"github.com/paia-tech/hotstandbyjob/bench/internal/measure"
	"github.com/paia-tech/hotstandbyjob/bench/internal/result"
	"github.com/paia-tech/hotstandbyjob/bench/internal/table"
)

const (
	// eachPool is how many pods are idle in each pool.
	eachPool = 100
	// busyShare is one of so many pods: they are busy while there are changes.
	busyShare = 5
	// scrapes is how often the operator's metrics are read, as Prometheus does, and parsed.
	scrapes = 20
	// launchRate is launches a second while there are changes. Each also ends, which makes as many changes again.
	launchRate = 25
)

// What the table shows.
const (
	atRest       = "at rest"
	restMemory   = atRest + ": operator memory"
	restRequests = atRest + ": API requests"
	servesAgain  = " → a launch has its pod"
	scrapeTakes  = atRest + ": a scrape of the metrics takes at most"
	// What the memory is made of.
	heapEach       = atRest + ": heap in use for each pod"
	stacksEach     = atRest + ": stacks in use for each pod"
	goroutinesEach = atRest + ": goroutines for each pod"
)

// The ways in which somebody else becomes the operator.
const (
	restarted    = "killed and started"
	toldToEnd    = "leader told to end"
	leaderKilled = "leader killed"
)

// withMany is a row about 10,000 pods, beside a tenth of them.
func withMany(what, number string) table.Row {
	return table.Row{What: what + ", 10,000 pods", Number: of(ofMany, number), Than: "1,000 pods", Beside: of(ofFew, number)}
}

func scale() Scenario {
	return Scenario{
		Name: "scale",
		About: fmt.Sprintf("Many pools of %d idle pods each, on simulated nodes whose pods all hold their streams to the gateway: what the operator uses "+
			"and asks the API server for at rest; how long it takes to serve again when it is killed and started, and for another replica to take over "+
			"when the leader is told to end or is killed, without and with all pods attached; then a fifth of the pods are busy, and %d launches a second begin and end.", eachPool, launchRate),
		Rows: []table.Row{
			withMany("operator memory at rest", restMemory),
			withMany("API requests at rest", restRequests),
			withMany("operator killed and started → a launch has its pod", restarted+servesAgain),
			withMany("leader of two replicas told to end → a launch has its pod", toldToEnd+servesAgain),
			withMany("leader of two replicas killed → a launch has its pod", leaderKilled+servesAgain),
		},
		Run: func(ctx context.Context, b Bench) ([]result.Case, error) {
			var cases []result.Case
			for _, pools := range choose(b, []int{3}, []int{10, 100}) {
				s := scaler{bench: b, rests: choose(b, 5*time.Second, time.Minute), changes: choose(b, 5*time.Second, time.Minute)}
				for i := range pools {
					s.pools = append(s.pools, simulatedPool(fmt.Sprintf("pool-%03d", i), eachPool))
				}
				run := &measure.Run{}
				if err := s.measure(ctx, run); err != nil {
					return cases, err
				}
				cases = append(cases, result.CaseOf(fmt.Sprintf("%d pools, %d pods", pools, pools*eachPool), []*measure.Run{run},
					"Measured once: to fill the pools takes longer than all the rest."))
			}
			return cases, nil
		},
	}
}

// scaler has many pools at once.
type scaler struct {
	bench          Bench
	pools          []*v1alpha1.HotStandbyJob
	rests, changes time.Duration

	*stage
	run *measure.Run
}

func (s *scaler) measure(ctx context.Context, into *measure.Run) error {
	s.run = into
	return s.bench.playIn(ctx, fmt.Sprintf("scale-%d", len(s.pools)*eachPool), cluster.SpaceOptions{KeepCertificate: true}, func(ctx context.Context, st *stage) error {
		s.stage = st
		s.bench.Say("%d pools: filling them", len(s.pools))
		began := s.bench.Clock.Now()
		for _, h := range s.pools {
			if err := s.Make(ctx, h); err != nil {
				return err
			}
		}
		if err := s.awaitIdle(ctx, s.pools...); err != nil {
			return err
		}
		s.run.Count("filled", result.Milliseconds, milliseconds(s.bench.Clock.Since(began)))
		for _, step := range []struct {
			name string
			do   func(context.Context) error
		}{
			{atRest, s.atRest}, {"restart", s.restart}, {"failover", s.failOver}, {"changes", s.change},
		} {
			s.bench.Say("%d pools: %s", len(s.pools), step.name)
			if err := step.do(ctx); err != nil {
				return fmt.Errorf("%s: %w", step.name, err)
			}
		}
		return nil
	})
}

// spell is what the operator used and asked for in a while.
func (s *scaler) spell(ctx context.Context, name string, during func() error) error {
	before, err := s.Metrics(ctx)
	if err != nil {
		return err
	}
	used, err := s.Usage()
	if err != nil {
		return err
	}
	began := s.bench.Clock.Now()
	if err := during(); err != nil {
		return err
	}
	took := s.bench.Clock.Since(began).Seconds()
	after, err := s.Metrics(ctx)
	if err != nil {
		return err
	}
	uses, err := s.Usage()
	if err != nil {
		return err
	}
	asked, earlier := 0, before.Requests()
	for what, n := range after.Requests() {
		asked += n - earlier[what]
	}
	s.run.Count(name+": API requests", result.PerSecond, float64(asked)/took)
	s.run.Count(name+": operator CPU each second", result.Milliseconds, (uses.CPU-used.CPU)*1000/took)
	s.run.Count(name+": operator memory", result.Mebibytes, float64(uses.Resident)/(1<<20))
	s.run.Count(name+": operator memory at most", result.Mebibytes, float64(uses.Peak)/(1<<20))
	s.run.Count(name+": no reconcile took longer than", result.Milliseconds, milliseconds(after.LongestReconcile()))
	return nil
}

// atRest is what is used while nothing happens.
func (s *scaler) atRest(ctx context.Context) error {
	if _, err := s.read(ctx); err != nil { // returns when nothing is written any more
		return err
	}
	if err := s.spell(ctx, atRest, func() error { return s.pass(ctx, s.rests) }); err != nil {
		return err
	}
	longest, metrics := time.Duration(0), cluster.Metrics{}
	for range scrapes {
		began := s.bench.Clock.Now()
		var err error
		if metrics, err = s.Metrics(ctx); err != nil {
			return err
		}
		longest = max(longest, s.bench.Clock.Since(began))
	}
	all := float64(len(s.pools) * eachPool)
	s.run.Count(heapEach, result.Kibibytes, metrics.Gauge("go_memstats_heap_inuse_bytes")/all/(1<<10))
	s.run.Count(stacksEach, result.Kibibytes, metrics.Gauge("go_memstats_stack_inuse_bytes")/all/(1<<10))
	s.run.Count(goroutinesEach, result.Each, metrics.Gauge("go_goroutines")/all)
	s.run.Count(scrapeTakes, result.Milliseconds, milliseconds(longest))
	return nil
}

// restart kills the operator and starts it again.
func (s *scaler) restart(ctx context.Context) error {
	return s.interrupt(ctx, "killed-and-started", restarted, func() error { return s.Restart(ctx) })
}

// failOver has another replica take over, first from one that is told to end, as in an upgrade, and then from one that is killed.
func (s *scaler) failOver(ctx context.Context) error {
	if s.bench.Quick || s.Profiles() != "" {
		return nil // it takes long, and a process that has ended has no profiles
	}
	if err := s.Elect(ctx); err != nil {
		return err
	}
	for _, end := range []struct {
		word, how string
		by        syscall.Signal
	}{
		{"told-to-end", toldToEnd, syscall.SIGTERM},
		{"killed", leaderKilled, syscall.SIGKILL},
	} {
		if err := s.awaitIdle(ctx, s.pools...); err != nil {
			return err
		}
		if err := s.Join(ctx); err != nil {
			return err
		}
		// It reads all there is, to be ready when it must, which is done when there is nothing to do any more.
		if _, err := machine.Rest(ctx, s.bench.Clock, procfs.DefaultMountPoint, restPatience); err != nil {
			return err
		}
		if err := s.interrupt(ctx, end.word, end.how, func() error { return s.FailOver(end.by) }); err != nil {
			return err
		}
	}
	return nil
}

// interrupt has somebody else be the operator: a launch that is posted then says when that one serves.
func (s *scaler) interrupt(ctx context.Context, word, how string, replace func() error) error {
	over := s.hold()
	defer over()
	attached := s.streams.Attached()
	processors := &measure.Run{}
	note := watchProcessors(processors)
	began := s.bench.Clock.Now()
	if err := replace(); err != nil {
		return err
	}
	if err := s.Make(ctx, launchOf(s.pools[0], word, word)); err != nil {
		return err
	}
	err := s.wait(ctx, "the launch has a pod", func() bool { return s.track.bound[word].pods > 0 })
	if err = errors.Join(err, note()); err != nil {
		return err
	}
	if b := s.track.binding(word); b.cold != "" {
		return fmt.Errorf("the launch started cold: %s", b.cold)
	}
	s.run.Count(how+servesAgain, result.Milliseconds, milliseconds(s.track.binding(word).at.Sub(began)))
	for name, n := range processors.Numbers() {
		s.run.Count(how+": "+name, n.Unit, n.Value)
	}
	all := len(s.pools) * eachPool
	err = cluster.Await(ctx, "all pods are attached again", func(context.Context) bool { return s.streams.Attached()-attached >= all })
	if err != nil {
		return err
	}
	s.run.Count(how+" → all pods are attached", result.Milliseconds, milliseconds(s.bench.Clock.Since(began)))
	err = s.checkOnce(word)
	s.track.forget()
	return err
}

// change has some pods busy, and then launches begin and end.
func (s *scaler) change(ctx context.Context) error {
	all := len(s.pools) * eachPool
	s.hold() // to the end
	held := all / busyShare
	word := func(i int) string { return fmt.Sprintf("held-%05d", i) }
	_, err := s.pour(ctx, held, func(ctx context.Context, r load.Request) error {
		return s.Make(ctx, launchOf(s.pools[r.Index%len(s.pools)], word(r.Index), word(r.Index)))
	})
	if err != nil {
		return err
	}
	err = s.wait(ctx, "all have begun", func() bool { return len(s.track.began) >= held })
	if err = errors.Join(err, s.awaitIdle(ctx, s.pools...)); err != nil {
		return err
	}
	if _, err := s.read(ctx); err != nil {
		return err
	}
	s.work = func(ctx context.Context, _ string) { _ = s.pass(ctx, workTime) }
	schedule := load.Poisson(rand.New(rand.NewPCG(s.bench.Seed, 1)), launchRate, warmUp+s.changes) //nolint:gosec // the same load again is what a seed is for
	due := make([]time.Time, len(schedule))
	name := func(i int) string { return fmt.Sprintf("change-%05d", i) }
	return s.spell(ctx, "changes", func() error {
		var refused atomic.Int64
		behind := load.Offer(ctx, s.bench.Clock, schedule, func(ctx context.Context, r load.Request) {
			due[r.Index] = r.Due
			j := launchOf(s.pools[r.Index%len(s.pools)], name(r.Index), name(r.Index))
			j.Spec.TTLSecondsAfterFinished = new(int32(1))
			if s.Make(ctx, j) != nil {
				refused.Add(1)
			}
		})
		if n := refused.Load(); n > 0 {
			return fmt.Errorf("%d launches were refused", n)
		}
		s.run.Count("changes: the load was behind by at most", result.Milliseconds, milliseconds(behind))
		if err := s.wait(ctx, "all launches have begun", func() bool { return len(s.track.began) >= held+len(schedule) }); err != nil {
			return err
		}
		for i, at := range schedule {
			s.run.Took("changes: due → first instruction", at, s.track.beginnings(name(i))[0].Sub(due[i]))
		}
		s.run.Discard(warmUp)
		return nil
	})
}
