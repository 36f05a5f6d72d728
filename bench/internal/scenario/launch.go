// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/procfs"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/bench/internal/machine"
	"github.com/paia-tech/hotstandbyjob/bench/internal/measure"
	"github.com/paia-tech/hotstandbyjob/bench/internal/result"
	"github.com/paia-tech/hotstandbyjob/bench/internal/table"
	hsj "github.com/paia-tech/hotstandbyjob/client"
	"github.com/paia-tech/hotstandbyjob/client/launcherv1"
	"github.com/paia-tech/hotstandbyjob/test/drive"
)

// What the scenario measures.
const (
	postToFirst    = "POST of the Job → first instruction"
	postToClaim    = "POST of the Job → claim seen"
	claimToMade    = "claim seen → replacement created"
	claimToFull    = "claim seen → replacement idle"
	gatewayToFirst = "call of the gateway → first instruction"
	coldToFirst    = "POST of a cold Job → first instruction"
	rawPost        = "raw: one Job POST"
	rawPatch       = "raw: one pod patch"
	rawBoth        = "raw: one Job POST and one pod patch"
)

// alone is how many pods are idle while launches are made one at a time.
const alone = 3

func launches() Scenario {
	return Scenario{
		Name: "launch",
		About: "One launch at a time, when all pods of a pool of three are idle and the machine is at rest (half a second with its processors four fifths idle): from the POST of the Job, or the call of the gateway, to the " +
			"first instruction of its command, as the command itself says. Beside it, in turn: the two writes that a launch can't do " +
			"without, made by themselves, and the same Job without a pool, run by the cluster's own controller with the image present.",
		Rows: []table.Row{
			{What: "a launch in a warm pod, p50", Number: each(postToFirst + " p50"), Than: "the two writes that it can't do without", Beside: each(rawBoth + " p50")},
			{What: "the same beside a cold start, p50", Number: each(postToFirst + " p50"), Than: "a Job without a pool", Beside: each(coldToFirst + " p50")},
			{What: "the same, p99", Number: each(postToFirst + " p99"), Than: "a Job without a pool", Beside: each(coldToFirst + " p99")},
			{What: "a launch by the gateway, p50", Number: each(gatewayToFirst + " p50"), Than: "the two writes", Beside: each(rawBoth + " p50")},
		},
		Pictured: []string{rawBoth, postToFirst, gatewayToFirst, coldToFirst},
		Run: func(ctx context.Context, b Bench) ([]result.Case, error) {
			c, err := b.Open(ctx)
			if err != nil {
				return nil, err
			}
			l := launcher{bench: b, pool: simulatedPool("game", alone), rounds: choose(b, 25, 50)}
			name, note := "simulated node", "No command runs on a simulated node: its first instruction is when the launch has reached the pod. Cold Jobs aren't measured, since pods start there in no time."
			if c.Lab.HasNode() {
				if err := c.LoadEntrypoint(ctx); err != nil {
					return nil, err
				}
				l.real, l.pool, l.rounds = true, realPool("game", alone), choose(b, 3, 25)
				name, note = onRealNode, "The command takes the time with its first instruction, before its runtime begins. It is a time of day, of the same machine."
			}
			runs, err := l.measure(ctx)
			if err != nil {
				return nil, err
			}
			return []result.Case{result.CaseOf(name, runs, note)}, nil
		},
	}
}

// restPatience is how long the machine may take to come to rest.
const restPatience = 10 * time.Second

// launcher makes launches one at a time.
type launcher struct {
	bench  Bench
	pool   *v1alpha1.HotStandbyJob
	real   bool
	rounds int

	*stage
	gateway *hsj.Client
	args    []string // what commands are given before their word
	run     *measure.Run
	// restless counts what began although the machine wasn't at rest.
	restless int
}

func (l *launcher) measure(ctx context.Context) (runs []*measure.Run, err error) {
	err = l.bench.play(ctx, "launch", func(ctx context.Context, s *stage) error {
		l.stage = s
		if l.real {
			w, err := drive.Listen(ctx, s.Host, func(stamp drive.Stamp) { s.track.begin(stamp.Words[0], stamp.At()) })
			if err != nil {
				return err
			}
			defer w.Close()
			l.args = []string{"-to", w.Address}
		}
		if err := s.fill(ctx, l.pool); err != nil {
			return err
		}
		if l.gateway, err = s.dispatcher(ctx); err != nil {
			return err
		}
		runs, err = l.repeat("launch", func(run int, into *measure.Run) error {
			l.run, l.restless = into, 0
			before, err := s.Metrics(ctx)
			if err != nil {
				return err
			}
			if err := l.turns(ctx, run); err != nil {
				return err
			}
			after, err := s.Metrics(ctx)
			if err != nil {
				return err
			}
			notePhases(into, before, after)
			into.Count("began although the machine was busy", result.Count, float64(l.restless))
			l.ratios()
			return s.Clear(ctx)
		})
		return err
	})
	return runs, err
}

// turns has everything that is compared take turns, so that what disturbs the machine disturbs all of it.
func (l *launcher) turns(ctx context.Context, run int) error {
	rounds := l.rounds
	if run == 0 {
		rounds = 1
	}
	for i := range rounds {
		word := func(kind string) string { return fmt.Sprintf("%s-%d-%03d", kind, run, i) }
		if err := l.post(ctx, word("post")); err != nil {
			return err
		}
		if err := l.call(ctx, word("call")); err != nil {
			return err
		}
		if err := l.raw(ctx, word("raw")); err != nil {
			return err
		}
		if !l.real {
			continue
		}
		if err := l.cold(ctx, word("cold")); err != nil {
			return err
		}
	}
	return nil
}

// ready returns when all pods are idle and the machine is at rest: what a node does for the launches before, creating the
// pods that replace theirs and removing these, isn't what one launch alone has beside it.
func (l *launcher) ready(ctx context.Context) error {
	if err := l.awaitIdle(ctx, l.pool); err != nil {
		return err
	}
	rests, err := machine.Rest(ctx, l.bench.Clock, procfs.DefaultMountPoint, restPatience)
	if err == nil && !rests {
		l.restless++
	}
	return err
}

// arguments are those of a command with this word.
func (l *launcher) arguments(word string) []string { return append(slices.Clone(l.args), word) }

// post launches by a Job.
func (l *launcher) post(ctx context.Context, word string) error {
	if err := l.ready(ctx); err != nil {
		return err
	}
	j := launchOf(l.pool, word, l.arguments(word)...)
	j.Spec.TTLSecondsAfterFinished = new(int32(1)) // or the node has ever more to do
	began := l.bench.Clock.Now()
	if err := l.Make(ctx, j); err != nil {
		return err
	}
	if err := l.first(ctx, postToFirst, word, began); err != nil {
		return err
	}
	if err := l.wait(ctx, "the claim is seen", func() bool { return l.track.bound[word].pods > 0 }); err != nil {
		return err
	}
	b := l.track.binding(word)
	if b.cold != "" {
		return fmt.Errorf("launch %s started cold: %s", word, b.cold)
	}
	l.run.Took(postToClaim, 0, b.at.Sub(began))
	if err := l.awaitIdle(ctx, l.pool); err != nil {
		return err
	}
	l.run.Took(claimToFull, 0, l.bench.Clock.Since(b.at))
	l.run.Took(claimToMade, 0, l.track.lastMade().Sub(b.at))
	return nil
}

// call launches through the gateway.
func (l *launcher) call(ctx context.Context, word string) error {
	if err := l.ready(ctx); err != nil {
		return err
	}
	request := &launcherv1.LaunchRequest{
		Namespace: l.Namespace, Pool: l.pool.Name, Args: l.arguments(word), TtlSecondsAfterFinished: new(int32(1)),
	}
	began := l.bench.Clock.Now()
	if _, err := l.gateway.Start(ctx, request); err != nil {
		return fmt.Errorf("launch %s through the gateway: %w", word, err)
	}
	return l.first(ctx, gatewayToFirst, word, began)
}

// cold has the cluster's own controller do the same work.
func (l *launcher) cold(ctx context.Context, word string) error {
	if err := l.ready(ctx); err != nil {
		return err
	}
	j := coldOf(l.pool, word, l.arguments(word)...)
	j.Spec.TTLSecondsAfterFinished = new(int32(1))
	began := l.bench.Clock.Now()
	if err := l.Make(ctx, j); err != nil {
		return err
	}
	return l.first(ctx, coldToFirst, word, began)
}

// raw makes the two writes by themselves.
func (l *launcher) raw(ctx context.Context, name string) error {
	if err := l.ready(ctx); err != nil {
		return err
	}
	pods, err := idlePods(ctx, l.Space)
	if err != nil {
		return err
	}
	if len(pods) == 0 {
		return fmt.Errorf("pool %s has no idle pod", l.pool.Name)
	}
	r, err := rawWrites(ctx, l.stage, l.pool, name, &pods[0])
	if err != nil {
		return err
	}
	l.run.Took(rawPost, 0, r.post)
	l.run.Took(rawPatch, 0, r.patch)
	l.run.Took(rawBoth, 0, r.both())
	return nil
}

// first waits until a command has begun, and notes how long that took.
func (l *launcher) first(ctx context.Context, what, word string, began time.Time) error {
	if err := l.wait(ctx, "the command of "+word+" runs", func() bool { return len(l.track.began[word]) > 0 }); err != nil {
		return err
	}
	l.run.Took(what, 0, l.track.beginnings(word)[0].Sub(began))
	return l.checkOnce(word)
}

// ratios compares medians with those of the raw writes, in the same run.
func (l *launcher) ratios() {
	for _, what := range []string{postToFirst, gatewayToFirst, coldToFirst} {
		for _, percent := range []float64{50, 99} {
			if base := l.run.Percentile(rawBoth, percent); base > 0 && l.run.Percentile(what, percent) > 0 {
				l.run.Count(fmt.Sprintf("%s, p%g to that of raw POST and patch", what, percent), result.Times,
					float64(l.run.Percentile(what, percent))/float64(base))
			}
		}
	}
}
