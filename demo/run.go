// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/demo/internal/cluster"
	"github.com/paia-tech/hotstandbyjob/demo/internal/script"
	"github.com/paia-tech/hotstandbyjob/demo/internal/track"
	"github.com/paia-tech/hotstandbyjob/demo/internal/view"
)

const (
	cleanTime    = 3 * time.Minute
	diagnoseTime = 30 * time.Second
)

// run is one demo: a cluster, the story in it, what was measured, and clean-up whatever happened.
func run(ctx context.Context, o options) (err error) {
	terminal := view.NewTerminal(os.Stdout, os.Getenv)
	started := time.Now()
	unlock, err := lockName(o.name)
	if err != nil {
		return err
	}
	defer unlock()
	heading(terminal, "1. A Kubernetes cluster, and the operator in it")
	c, err := cluster.Open(ctx, cluster.Options{
		Current: o.cluster == currentCluster, LabName: o.name,
		OperatorImage: o.operatorImage, WorkerImage: o.workerImage, Progress: indented{os.Stdout},
	})
	defer func() {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		err = errors.Join(err, finish(c, terminal, o.stay && ctx.Err() == nil))
	}()
	if err != nil {
		return fmt.Errorf("get a cluster: %w", err)
	}
	if err := c.Deploy(ctx); err != nil {
		diagnose(ctx, c)
		return fmt.Errorf("deploy the operator: %w", err)
	}
	terminal.Sayf("  ready after %s", time.Since(started).Round(100*time.Millisecond))
	return tell(ctx, c, terminal, o)
}

// tell shows the story while it goes on, and then what was measured in it.
func tell(ctx context.Context, c *cluster.Cluster, terminal *view.Terminal, o options) error {
	pools, err := script.ReadPools(c.Checkout)
	if err != nil {
		return err
	}
	version, err := c.Client.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("ask the cluster for its version: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tracker := track.New(pools.All()...)
	if err := tracker.Watch(ctx, c.Client, clock.RealClock{}); err != nil {
		return err
	}
	heading(terminal, "2. Three pools")
	s := stage{
		terminal: terminal, tracker: tracker,
		model: view.Model{
			Title: "HotStandbyJob demo · Kubernetes " + version.GitVersion,
			Steps: script.Steps, Expected: script.Expected,
		},
	}
	story := script.Story{Cluster: c, Tracker: tracker, Pools: pools, Clock: clock.RealClock{}, Tell: s.tell}
	result, err := s.play(ctx, story.Run)
	if err != nil {
		if ctx.Err() == nil {
			diagnose(ctx, c, script.Namespace, pools.Seed.Namespace)
		}
		return err
	}
	lines := result.Lines(pools)
	heading(terminal, "3. "+lines[0].Plain())
	terminal.Say(lines[1:]...)
	if o.record != "" {
		s.recorder.Last(lines)
		if err := s.recorder.WriteFile(o.record); err != nil {
			return err
		}
	}
	if faults := result.Faults(pools); len(faults) > 0 {
		return fmt.Errorf("not all that is promised did hold:\n  %s", strings.Join(faults, "\n  "))
	}
	return nil
}

func heading(terminal *view.Terminal, text string) {
	terminal.Say(nil, view.Line{{Text: text, Bold: true}})
}

func diagnose(ctx context.Context, c *cluster.Cluster, namespaces ...string) {
	ctx, cancel := context.WithTimeout(ctx, diagnoseTime)
	defer cancel()
	_, _ = fmt.Fprintln(os.Stdout)
	c.Diagnose(ctx, os.Stdout, namespaces...)
}

// finish takes everything down, or says how to look around in it. It has a time of its own: the demo's may be over.
func finish(c *cluster.Cluster, terminal *view.Terminal, stay bool) error {
	if stay && c.Client != nil {
		terminal.Say(nil, view.Line{{Text: "Everything stays as it is. To look around:", Bold: true}})
		terminal.Say(c.Tour(script.Namespace)...)
		return nil
	}
	if !c.Touched() {
		return nil
	}
	started := time.Now()
	heading(terminal, "Cleaning up")
	if c.Lab == nil {
		terminal.Sayf("  pods get the time to end that they may take: up to half a minute")
	}
	ctx, cancel := context.WithTimeout(context.Background(), cleanTime)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		return fmt.Errorf("clean up: %w", err)
	}
	terminal.Sayf("  all is gone after %s", time.Since(started).Round(100*time.Millisecond))
	return nil
}

// indented sets what others say off from the headings.
type indented struct{ to io.Writer }

func (i indented) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		if _, err := io.WriteString(i.to, "  "+line); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}
