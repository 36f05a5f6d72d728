// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/bench/internal/load"
	"github.com/paia-tech/hotstandbyjob/bench/internal/measure"
	"github.com/paia-tech/hotstandbyjob/bench/internal/result"
	"github.com/paia-tech/hotstandbyjob/bench/internal/table"
	hsj "github.com/paia-tech/hotstandbyjob/client"
	"github.com/paia-tech/hotstandbyjob/client/launcherv1"
)

// What launches take that get one of the last pods, and those that don't.
const (
	startWon  = "start → pod seen, won"
	startLost = "start → pod seen, lost"
)

// last is how many pods are idle when many want them.
const last = 8

func contention() Scenario {
	return Scenario{
		Name: "contention",
		About: fmt.Sprintf("The last %d idle pods of a pool that can't grow, on simulated nodes, wanted by all at once: by 2 clients, and by 32, half of which POST a "+
			"Job and half call the gateway, four times as many launches as there are pods in all. Each pod goes to one launch and each launch gets "+
			"one pod, which is checked; those that lose start cold, and what that costs them is how much later their pod is seen.", last),
		Rows: []table.Row{
			{What: "launches for the last idle pods: who gets one, p50", Number: each(startWon + " p50"), Than: "who gets none and starts cold", Beside: each(startLost + " p50")},
		},
		Run: func(ctx context.Context, b Bench) ([]result.Case, error) {
			var cases []result.Case
			for _, clients := range []int{2, 32} {
				c := contender{bench: b, clients: clients, pool: simulatedPool("last", last)}
				c.pool.Spec.MaxReplicas = new(int32(last))
				runs, err := c.measure(ctx)
				if err != nil {
					return cases, err
				}
				cases = append(cases, result.CaseOf(fmt.Sprintf("%d clients", clients), runs))
			}
			return cases, nil
		},
	}
}

// contender has clients want the same pods.
type contender struct {
	bench   Bench
	clients int
	pool    *v1alpha1.HotStandbyJob

	*stage
	gateway *hsj.Client
}

func (c *contender) measure(ctx context.Context) (runs []*measure.Run, err error) {
	err = c.bench.play(ctx, fmt.Sprintf("contention-%d", c.clients), func(ctx context.Context, s *stage) error {
		c.stage = s
		if err := s.fill(ctx, c.pool); err != nil {
			return err
		}
		if c.gateway, err = s.dispatcher(ctx); err != nil {
			return err
		}
		runs, err = c.repeat(fmt.Sprintf("contention of %d clients", c.clients), func(run int, into *measure.Run) error {
			rounds := choose(c.bench, 3, 10)
			if run == 0 {
				rounds = 1
			}
			for round := range rounds {
				if err := c.round(ctx, fmt.Sprintf("want-%d-%02d", run, round), into); err != nil {
					return err
				}
			}
			return nil
		})
		return err
	})
	return runs, err
}

// round has all clients launch what they have, at once.
func (c *contender) round(ctx context.Context, name string, into *measure.Run) error {
	const launches = 4 * last
	over := c.hold()
	jobs := make([]string, launches)
	began := c.bench.Clock.Now()
	_, err := c.pour(ctx, c.clients, func(ctx context.Context, r load.Request) error {
		for i := r.Index; i < launches; i += c.clients {
			word := fmt.Sprintf("%s-%03d", name, i)
			job, err := c.launch(ctx, r.Index, word)
			if err != nil {
				return err
			}
			jobs[i] = job
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := c.waitEach(ctx, "it has a pod", launches, func(i int) bool { return c.track.bound[jobs[i]].pods > 0 }); err != nil {
		return err
	}
	if err := c.wait(ctx, "as many have begun as there were idle pods", func() bool { return len(c.track.began) >= last }); err != nil {
		return err
	}
	if err := c.winners(jobs, began, into); err != nil {
		return err
	}
	err = c.Clear(ctx)
	over()
	c.track.forget()
	return errors.Join(err, c.awaitIdle(ctx, c.pool))
}

// winners notes who got a pod when, and checks that each pod has one launch, and each launch one pod.
func (c *contender) winners(jobs []string, began time.Time, into *measure.Run) error {
	warm := 0
	has := map[types.UID]string{}
	for _, job := range jobs {
		b := c.track.binding(job)
		if other, taken := has[b.pod]; taken || b.pods != 1 {
			return fmt.Errorf("launch %s has %d pods, the last of which launch %q has as well", job, b.pods, other)
		}
		has[b.pod] = job
		what := startLost
		if b.cold == "" {
			what = startWon
			warm++
		}
		into.Took(what, 0, b.at.Sub(began))
	}
	if warm != last {
		return fmt.Errorf("%d launches started warm, of %d idle pods", warm, last)
	}
	return nil
}

// launch launches as a client does, each second of them by a Job and the others through the gateway.
func (c *contender) launch(ctx context.Context, client int, word string) (job string, err error) {
	if client%2 == 0 {
		return word, c.Make(ctx, launchOf(c.pool, word, word))
	}
	r, err := c.gateway.Start(ctx, &launcherv1.LaunchRequest{Namespace: c.Namespace, Pool: c.pool.Name, Args: []string{word}})
	if err != nil {
		return "", fmt.Errorf("launch %s through the gateway: %w", word, err)
	}
	return r.GetJob(), nil
}
