// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/kubernetes/pkg/controller/job/util"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/bench/internal/cluster"
	"github.com/paia-tech/hotstandbyjob/bench/internal/load"
	"github.com/paia-tech/hotstandbyjob/bench/internal/measure"
	"github.com/paia-tech/hotstandbyjob/bench/internal/result"
	"github.com/paia-tech/hotstandbyjob/bench/internal/table"
	"github.com/paia-tech/hotstandbyjob/lab"
	"github.com/paia-tech/hotstandbyjob/test/drive"
)

// The cases, and what they are compared by.
const (
	ours       = "ours"
	ownDefault = "the cluster's own controller, default limits"
	ownRaised  = "the cluster's own controller, limits raised"

	finishedRate = "Jobs finished per second"
	writesDone   = "API writes for each Job until it is complete"
)

// jobsEach is how many Jobs there are to be finished for each idle pod.
const jobsEach = 5

func finished() Scenario {
	return Scenario{
		Name: "finished",
		About: "Jobs finished per second: all are POSTed at once, 32 requests under way, and each has nothing to do. Ours start in a pool on simulated " +
			"nodes that has an idle pod for every five of them, and wait there for one. Beside them, on the same lab and as many Jobs: the cluster's " +
			"own controller with the limits that Kubernetes gives it, and with limits that are out of its way.",
		Rows: []table.Row{
			{
				What: "Jobs finished a second", Number: table.Number{Case: ours, Name: finishedRate},
				Than: "the cluster's own controller as it is installed", Beside: table.Number{Case: ownDefault, Name: finishedRate},
			},
			{
				What: "the same", Number: table.Number{Case: ours, Name: finishedRate},
				Than: "the same with its limits out of its way", Beside: table.Number{Case: ownRaised, Name: finishedRate},
			},
			{
				What: "API writes of all components for each, a new pod in place of the used one included", Number: table.Number{Case: ours, Name: writesDone},
				Than: "the cluster's own controller", Beside: table.Number{Case: ownDefault, Name: writesDone},
			},
		},
		Run: func(ctx context.Context, b Bench) ([]result.Case, error) {
			f := finisher{bench: b, jobs: choose(b, 50, 2000)}
			f.bench.Runs = 1
			var cases []result.Case
			for _, tc := range []struct {
				name string
				open func(context.Context) (*cluster.Cluster, error)
				own  bool
			}{
				{ours, b.OpenDefaults, false},
				{ownDefault, b.OpenDefaults, true},
				{ownRaised, b.Open, true},
			} {
				f.bench.Open, f.own = tc.open, tc.own
				runs, err := f.measure(ctx)
				if err != nil {
					return cases, err
				}
				cases = append(cases, result.CaseOf(tc.name, runs, fmt.Sprintf("%d Jobs. Measured once: the cluster's own controller takes ten minutes for 2,000.", f.jobs)))
			}
			return cases, nil
		},
	}
}

// finisher has Jobs finished.
type finisher struct {
	bench Bench
	jobs  int
	// own has the cluster's own controller run them.
	own bool

	*stage
	pool *v1alpha1.HotStandbyJob
}

func (f *finisher) measure(ctx context.Context) (runs []*measure.Run, err error) {
	f.pool = simulatedPool("hands", f.jobs/jobsEach)
	f.pool.Spec.Standby = &v1alpha1.StandbySpec{WhenEmpty: v1alpha1.WhenEmptyWait}
	name := "finished"
	if f.own {
		name = "" // our operator has nothing to do
	}
	err = f.bench.play(ctx, name, func(ctx context.Context, s *stage) error {
		f.stage = s
		if !f.own {
			if err := s.fill(ctx, f.pool); err != nil {
				return err
			}
		}
		runs, err = f.repeat(finishedRate, func(run int, into *measure.Run) error {
			jobs := f.jobs
			if run == 0 {
				jobs = choose(f.bench, jobsEach, connections)
			}
			return f.finish(ctx, run, jobs, into)
		})
		return err
	})
	return runs, err
}

// finish makes the Jobs, and waits until all are complete.
func (f *finisher) finish(ctx context.Context, run, jobs int, into *measure.Run) error {
	watching, stop := context.WithCancel(ctx)
	var watches sync.WaitGroup
	defer watches.Wait()
	defer stop()
	c := newTrack(f.bench.Clock)
	name := func(i int) string { return fmt.Sprintf("job-%d-%04d", run, i) }
	watches.Go(func() {
		w := drive.Watcher{Client: f.Client, Namespace: f.Namespace, Log: f.bench.Say}
		w.Jobs(watching, func(_ watch.EventType, j *batchv1.Job) {
			if util.IsJobSucceeded(j) && len(c.beginnings(j.Name)) == 0 {
				c.begin(j.Name, f.bench.Clock.Now())
			}
		})
	})
	before, err := f.read(ctx)
	if err != nil {
		return err
	}
	note := watchProcessors(into)
	began := f.bench.Clock.Now()
	_, err = f.pour(ctx, jobs, func(ctx context.Context, r load.Request) error {
		return f.Make(ctx, f.job(name(r.Index)))
	})
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	err = c.awaitEach(waiting, "it is complete", jobs, func(i int) bool { return len(c.began[name(i)]) > 0 })
	if err = errors.Join(err, note()); err != nil {
		return err
	}
	var last time.Duration
	for i := range jobs {
		took := c.beginnings(name(i))[0].Sub(began)
		into.Took("due → complete", 0, took)
		last = max(last, took)
	}
	into.Count(finishedRate, result.PerSecond, float64(jobs)/last.Seconds())
	refilled := func() error {
		if f.own {
			return nil
		}
		return f.awaitIdle(ctx, f.pool)
	}
	if err := refilled(); err != nil {
		return err
	}
	after, err := f.read(ctx)
	if err != nil {
		return err
	}
	noteWrites(into, writesDone, jobs, before, after)
	return errors.Join(f.Clear(ctx), refilled())
}

// job is one that does nothing. The pod of one that the cluster's own controller runs ends as soon as it runs.
func (f *finisher) job(name string) *batchv1.Job {
	if !f.own {
		return launchOf(f.pool, name, name)
	}
	j := coldOf(f.pool, name, name)
	j.Spec.Template.Annotations = map[string]string{lab.ExitAnnotation: "0"}
	return j
}
