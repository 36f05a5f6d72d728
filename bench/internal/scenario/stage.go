// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/bench/internal/cluster"
	"github.com/paia-tech/hotstandbyjob/lab"
	"github.com/paia-tech/hotstandbyjob/test/drive"
)

// stepTime is how long a step may take before the scenario gives up: far longer than it does.
const stepTime = 15 * time.Minute

// stage is a namespace with an operator, whose pods are watched and, on simulated nodes, live.
type stage struct {
	*cluster.Space
	bench   Bench
	track   *track
	streams *drive.Streams
	// work is the command of simulated pods. It is set before the first launch.
	work func(ctx context.Context, word string)

	stop    context.CancelFunc
	watches sync.WaitGroup
}

// play sets a stage up, has something happen on it, and takes it away again. What the operator does meanwhile is profiled under a name, if there
// is one and operators have profiles.
func (b Bench) play(ctx context.Context, name string, act func(context.Context, *stage) error) error {
	return b.playIn(ctx, name, cluster.SpaceOptions{}, act)
}

// playIn does so with an operator that differs in something.
func (b Bench) playIn(ctx context.Context, name string, o cluster.SpaceOptions, act func(context.Context, *stage) error) (err error) {
	c, err := b.Open(ctx)
	if err != nil {
		return err
	}
	o.Flags = append(o.Flags, "--gateway-any-address")
	space, err := c.Space(ctx, o)
	defer cluster.Finally(ctx, &err, space.Close)
	if err != nil {
		return err
	}
	s := &stage{Space: space, bench: b, track: newTrack(b.Clock), work: func(context.Context, string) {}}
	watching, stop := context.WithCancel(ctx)
	s.streams = &drive.Streams{Client: c.Client, URL: space.URL, Log: b.Say, Work: func(ctx context.Context, started drive.Started) {
		word := started.Payload.Args[len(started.Payload.Args)-1]
		work := s.work // before anybody is told that it began, and may set another
		s.track.begin(word, started.At)
		work(ctx, word)
	}}
	s.stop = stop
	s.watches.Go(func() {
		w := drive.Watcher{Client: c.Client, Namespace: space.Namespace, Log: b.Say}
		w.Pods(watching, func(event watch.EventType, p *corev1.Pod) {
			s.track.see(event, p)
			s.streams.See(watching, event, p)
		})
	})
	defer func() {
		stop()
		s.watches.Wait()
		s.streams.Wait()
	}()
	if url := space.Profiles(); url != "" && name != "" {
		defer cluster.Finally(ctx, &err, b.Record(ctx, name, url))
	}
	return act(ctx, s)
}

// fill makes a pool and returns when all of its pods are idle.
func (s *stage) fill(ctx context.Context, h *v1alpha1.HotStandbyJob) error {
	if err := s.Make(ctx, h); err != nil {
		return err
	}
	return s.awaitIdle(ctx, h)
}

// awaitIdle returns when pools, all there are on the stage, have all the idle pods that they shall have, and these could begin
// a launch at once.
func (s *stage) awaitIdle(ctx context.Context, pools ...*v1alpha1.HotStandbyJob) error {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	want := 0
	for _, h := range pools {
		want += int(h.Spec.IdleTarget)
	}
	if err := s.track.await(ctx, "the pools are full", func() bool { return s.track.idleIn(pools...) == want }); err != nil {
		return err
	}
	if !lab.Simulated(&pools[0].Spec.JobTemplate.Template.Spec) {
		return nil
	}
	return cluster.Await(ctx, "its pods are attached", func(context.Context) bool { return s.streams.Idle() >= want })
}

// wait waits for something that the track knows.
func (s *stage) wait(ctx context.Context, what string, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	return s.track.await(ctx, what, holds)
}

// pass lets time pass.
func (s *stage) pass(ctx context.Context, d time.Duration) error {
	timer := s.bench.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C():
		return nil
	}
}

// waitEach waits until something that the track knows holds for each of n launches.
func (s *stage) waitEach(ctx context.Context, what string, n int, holds func(i int) bool) error {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	return s.track.awaitEach(ctx, what, n, holds)
}

// awaitBegun waits until the commands of the first n words have begun.
func (s *stage) awaitBegun(ctx context.Context, what string, n int, word func(int) string) error {
	return s.waitEach(ctx, what, n, func(i int) bool { return len(s.track.began[word(i)]) > 0 })
}

// hold has the commands of simulated pods run until over is called.
func (s *stage) hold() (over func()) {
	end := make(chan struct{})
	s.work = func(ctx context.Context, _ string) {
		select {
		case <-ctx.Done():
		case <-end:
		}
	}
	return func() { close(end) }
}

// simulatedPool is a pool on simulated nodes.
func simulatedPool(name string, idle int) *v1alpha1.HotStandbyJob {
	h := poolOf(name, idle, corev1.Container{
		Name: "worker", Image: lab.WorkerImage, ImagePullPolicy: corev1.PullIfNotPresent, Command: []string{"/stamp"},
	})
	lab.OnSimulatedNode(&h.Spec.JobTemplate.Template.Spec)
	return h
}

// realPool is a pool on the real node, whose commands tell a witness when they begin.
func realPool(name string, idle int) *v1alpha1.HotStandbyJob {
	return poolOf(name, idle, drive.Stamped())
}

func poolOf(name string, idle int, c corev1.Container) *v1alpha1.HotStandbyJob {
	return &v1alpha1.HotStandbyJob{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.HotStandbyJobSpec{
			Assignment: v1alpha1.AssignmentPush,
			IdleTarget: int32(idle), //nolint:gosec // a small number
			JobTemplate: v1alpha1.JobTemplate{Template: &corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever, TerminationGracePeriodSeconds: new(int64(1)), Containers: []corev1.Container{c},
			}}},
		},
	}
}

// launchOf is a Job that starts in a pool's pods, and whose command is given these arguments, the last its word.
func launchOf(h *v1alpha1.HotStandbyJob, name string, args ...string) *batchv1.Job {
	j := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1alpha1.LabelPool: h.Name}},
		Spec: batchv1.JobSpec{
			BackoffLimit: new(int32(0)), ManagedBy: new(v1alpha1.ManagedByLauncher), Template: *h.Spec.JobTemplate.Template.DeepCopy(),
		},
	}
	j.Spec.Template.Spec.Containers[0].Args = args
	return j
}

// coldOf is the same work as a Job of the cluster's own controller.
func coldOf(h *v1alpha1.HotStandbyJob, name string, args ...string) *batchv1.Job {
	j := launchOf(h, name, args...)
	j.Labels, j.Spec.ManagedBy = nil, nil
	return j
}

// checkOnce is an error unless each of these commands began exactly once: a benchmark of what doesn't work means nothing.
func (s *stage) checkOnce(words ...string) error {
	var faults []error
	for _, word := range words {
		if n := len(s.track.beginnings(word)); n != 1 {
			faults = append(faults, fmt.Errorf("launch %s began %d times", word, n))
		}
	}
	return errors.Join(faults...)
}
