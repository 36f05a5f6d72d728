// SPDX-License-Identifier: Apache-2.0

// Package script is what happens in the demo, chapter by chapter, and what was measured in it.
package script

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/demo/internal/cluster"
	"github.com/paia-tech/hotstandbyjob/demo/internal/track"
	"github.com/paia-tech/hotstandbyjob/demo/internal/view"
)

// Namespace is where the demo's own pools are.
const Namespace = "hsj-demo"

const (
	fillTime    = 3 * time.Minute
	replaceTime = 10 * time.Second
	refillTime  = 10 * time.Second
	shrinkTime  = time.Minute
	finishTime  = time.Minute

	watchAtLeast = 12 * time.Second
	watchAtMost  = 30 * time.Second
	watchFlips   = 5

	lowerTo = 2
)

// Steps are the names of the chapters.
var Steps = []string{"fill", "measure", "turn busy", "shrink", "launch"}

// Expected is how long a demo takes, more or less.
const Expected = 110 * time.Second

// Story is one run of the demo.
type Story struct {
	Cluster *cluster.Cluster
	Tracker *track.Tracker
	Pools   *Pools
	Clock   clock.WithTicker
	Tell    func(view.Chapter)

	result Result
}

// Run goes through all chapters. What was measured is returned also when something did not work.
func (s *Story) Run(ctx context.Context) (Result, error) {
	var err error
	for _, chapter := range []func(context.Context) error{s.fill, s.measure, s.turnBusy, s.shrink} {
		if err = chapter(ctx); err != nil {
			break
		}
	}
	s.Tracker.Freeze()
	if err == nil {
		err = s.launch(ctx)
	}
	s.result.Simulated = s.Cluster.Lab != nil
	s.result.Pools = map[types.NamespacedName]track.Pool{}
	for _, p := range s.Tracker.Pools() {
		s.result.Pools[p.Name] = p
	}
	if err == nil {
		s.Tell(view.Chapter{Step: len(Steps), Text: "That was it."})
	}
	return s.result, err
}

// fill applies the pools and returns when all are filled.
func (s *Story) fill(ctx context.Context) error {
	s.Tell(view.Chapter{Step: 0, Text: fmt.Sprintf("kubectl apply -f %s, unchanged, and two pools of the demo's own: "+
		"the operator makes as many pods as shall be idle.", seedManifest)})
	ctx, cancel := context.WithTimeoutCause(ctx, fillTime, fmt.Errorf("not filled after %s", fillTime))
	defer cancel()
	if err := s.Pools.apply(ctx, s.Cluster, func(name types.NamespacedName) { s.Tracker.Apply(name, s.Clock.Now()) }); err != nil {
		return err
	}
	for _, name := range s.Pools.names() {
		if err := s.Tracker.Await(ctx, name, func(p track.Pool) bool { return p.FilledAfter > 0 }); err != nil {
			return fmt.Errorf("fill pool %s: %w", name.Name, err)
		}
		s.Tracker.Measure(name, true)
	}
	return nil
}

// turnBusy watches the pods of one pool turn busy by themselves.
func (s *Story) turnBusy(ctx context.Context) error {
	s.Tell(view.Chapter{Step: 2, Text: fmt.Sprintf("Pods of %s turn busy by themselves; each is replaced at once, and ends after "+
		"some seconds of work. Those of %s end after 30 s.", s.Pools.Match.Name, s.Pools.Seed.Name)})
	least, cancel := context.WithTimeout(ctx, watchAtLeast)
	defer cancel()
	<-least.Done()
	most, cancel := context.WithTimeout(ctx, watchAtMost-watchAtLeast)
	defer cancel()
	err := s.Tracker.Await(most, key(s.Pools.Match), func(p track.Pool) bool { return len(p.Waits) >= watchFlips })
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return nil // fewer have to do
	}
	return err
}

// shrink lowers a target and returns when the pool has followed, and all pods that were busy then have ended.
func (s *Story) shrink(ctx context.Context) error {
	match := key(s.Pools.Match)
	waiting, cancel := context.WithTimeoutCause(ctx, replaceTime, fmt.Errorf("a busy pod has no replacement after %s", replaceTime))
	defer cancel()
	if err := s.Tracker.Await(waiting, match, func(p track.Pool) bool { return p.Waiting == 0 }); err != nil {
		return fmt.Errorf("pool %s: %w", match.Name, err)
	}
	if err := s.refilled(ctx, match); err != nil {
		return err
	}
	before := s.Tracker.Pool(match)
	s.Tell(view.Chapter{Step: 3, Text: fmt.Sprintf("kubectl scale hsj/%s --replicas=%d: idleTarget goes from %d to %d. "+
		"After %s, idle pods too many are retired; busy ones finish their work.", match.Name, lowerTo, before.Target, lowerTo, before.Delay)})
	s.Tracker.Lower(match, lowerTo, s.Clock.Now())
	_, err := s.Cluster.Kubectl(ctx, "scale", "hsj/"+match.Name, "--namespace", match.Namespace, fmt.Sprintf("--replicas=%d", lowerTo))
	if err != nil {
		return err
	}
	shrinking, cancel := context.WithTimeoutCause(ctx, shrinkTime, fmt.Errorf("idle pods too many after %s", shrinkTime))
	defer cancel()
	if err := s.Tracker.Await(shrinking, match, func(p track.Pool) bool { return p.Idle+p.Starting <= lowerTo }); err != nil {
		return fmt.Errorf("shrink pool %s: %w", match.Name, err)
	}
	finishing, cancel := context.WithTimeoutCause(ctx, finishTime, fmt.Errorf("busy pods that did not end after %s", finishTime))
	defer cancel()
	err = s.Tracker.Await(finishing, match, func(p track.Pool) bool {
		return p.Lowered.BusyFinished+p.Lowered.BusyLost >= p.Lowered.Busy
	})
	if err != nil {
		return fmt.Errorf("shrink pool %s: %w", match.Name, err)
	}
	return nil
}

// refilled waits a moment for a pool to have all of its idle pods, so that there is something to retire.
func (s *Story) refilled(ctx context.Context, name types.NamespacedName) error {
	soon, cancel := context.WithTimeout(ctx, refillTime)
	defer cancel()
	err := s.Tracker.Await(soon, name, func(p track.Pool) bool { return p.Idle >= p.Target })
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return nil // it goes as well with what there is
	}
	return err
}
