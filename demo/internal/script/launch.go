// SPDX-License-Identifier: Apache-2.0

package script

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/demo/internal/cluster"
	"github.com/paia-tech/hotstandbyjob/demo/internal/view"
)

const (
	pairs      = 20
	launchTime = time.Minute // for one Job
	pollPace   = 50 * time.Millisecond
)

// Launches are how long Jobs took from their POST to the first instruction of their command.
type Launches struct {
	Warm, Cold []time.Duration
	Missed     int // Jobs with the label that started cold
}

// launch makes Jobs in pairs, one with the label of a pool and one without, and lets each say when it was started.
func (s *Story) launch(ctx context.Context) error {
	pool := s.Pools.Launch
	s.Tell(view.Chapter{Step: 4, PoolsOver: true, Text: fmt.Sprintf("The other pools make way. %s keeps %d pods that are given to Jobs.", pool.Name, pool.Spec.IdleTarget)})
	for _, other := range s.Pools.All() {
		_, err := s.Cluster.Kubectl(ctx, "delete", "hsj", other.Name, "--namespace", other.Namespace, "--ignore-not-found", "--wait=false")
		if err != nil {
			return err
		}
	}
	pool.Spec.JobTemplate.Template.Spec.Containers[0].Image = s.Cluster.Worker
	manifest, err := yaml.Marshal(pool)
	if err != nil {
		return fmt.Errorf("write pool %s: %w", pool.Name, err)
	}
	if err := s.Cluster.Apply(ctx, manifest); err != nil {
		return fmt.Errorf("apply pool %s: %w", pool.Name, err)
	}
	for n := range pairs {
		if err := s.filled(ctx, pool); err != nil {
			return err
		}
		if err := s.pair(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// pair makes one Job in each of the two worlds.
func (s *Story) pair(ctx context.Context, n int) error {
	l := &s.result.Launches
	for _, warm := range []bool{true, false} {
		took, err := s.run(ctx, warm)
		if err != nil {
			return err
		}
		times := &l.Cold
		if warm {
			times = &l.Warm
		}
		*times = append(*times, took)
	}
	s.Tell(view.Chapter{
		Step: 4, PoolsOver: true,
		Text: "The same Job twice, again and again: with the label hsj.paia.tech/pool: " + s.Pools.Launch.Name + ", and without. Each says itself when its command began.",
		Progress: fmt.Sprintf("%d of %d: warm %s, cold %s after the POST.", n+1, pairs,
			view.Milliseconds(l.Warm[len(l.Warm)-1]), view.Milliseconds(l.Cold[len(l.Cold)-1])),
	})
	return nil
}

// filled waits until all pods of the pool are idle, also those of the cold Job before are over then.
func (s *Story) filled(ctx context.Context, pool *v1alpha1.HotStandbyJob) error {
	return s.await(ctx, fillTime, "pool "+pool.Name+" to be filled", func(ctx context.Context) (bool, error) {
		list, err := s.Cluster.Client.CoreV1().Pods(pool.Namespace).List(ctx, metav1.ListOptions{
			LabelSelector: v1alpha1.LabelName + "=" + pool.Name + "," + v1alpha1.LabelState + "=" + string(v1alpha1.PodIdle),
		})
		if err != nil {
			return false, err
		}
		idle := 0
		for i := range list.Items {
			if cluster.IsReady(&list.Items[i]) {
				idle++
			}
		}
		return idle >= int(pool.Spec.IdleTarget), nil
	})
}

// run makes a Job and returns how long it took from the POST until its command was started, as that says.
func (s *Story) run(ctx context.Context, warm bool) (time.Duration, error) {
	jobs := s.Cluster.Client.BatchV1().Jobs(Namespace)
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "cold-", Namespace: Namespace},
		Spec: batchv1.JobSpec{
			BackoffLimit: new(int32(0)), TTLSecondsAfterFinished: new(int32(60)),
			Template: *s.Pools.Launch.Spec.JobTemplate.Template.DeepCopy(),
		},
	}
	if warm {
		job.GenerateName = "warm-"
		job.Labels = map[string]string{v1alpha1.LabelPool: s.Pools.Launch.Name}
	}
	posted := s.Clock.Now()
	job, err := jobs.Create(ctx, job, metav1.CreateOptions{})
	if err != nil {
		return 0, fmt.Errorf("create a Job: %w", err)
	}
	err = s.await(ctx, launchTime, "Job "+job.Name+" to end", func(ctx context.Context) (bool, error) {
		now, err := jobs.Get(ctx, job.Name, metav1.GetOptions{})
		return err == nil && slices.ContainsFunc(now.Status.Conditions, func(c batchv1.JobCondition) bool {
			return c.Type == batchv1.JobComplete && c.Status == corev1.ConditionTrue
		}), err
	})
	if err != nil {
		return 0, err
	}
	started, pod, err := s.stamp(ctx, job.Name)
	if err != nil {
		return 0, err
	}
	if warm && pod.Annotations[v1alpha1.AnnotationStart] != v1alpha1.StartWarm {
		s.result.Launches.Missed++
	}
	return started.Sub(posted), nil
}

// stamp is when a Job's command was started, from the log of its pod.
func (s *Story) stamp(ctx context.Context, job string) (time.Time, *corev1.Pod, error) {
	pods := s.Cluster.Client.CoreV1().Pods(Namespace)
	list, err := pods.List(ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + job})
	if err != nil {
		return time.Time{}, nil, fmt.Errorf("look for the pod of Job %s: %w", job, err)
	}
	if len(list.Items) != 1 {
		return time.Time{}, nil, fmt.Errorf("job %s has %d pods: it should have one", job, len(list.Items))
	}
	pod := &list.Items[0]
	text, err := pods.GetLogs(pod.Name, &corev1.PodLogOptions{Container: "worker"}).DoRaw(ctx)
	if err != nil {
		return time.Time{}, nil, fmt.Errorf("read the log of pod %s: %w", pod.Name, err)
	}
	var said struct{ Started int64 }
	line, _, _ := bytes.Cut(text, []byte{'\n'})
	if err := json.Unmarshal(line, &said); err != nil {
		return time.Time{}, nil, fmt.Errorf("read the log of pod %s: %q: %w", pod.Name, line, err)
	}
	return time.Unix(0, said.Started), pod, nil
}

// await waits until something holds.
func (s *Story) await(ctx context.Context, most time.Duration, what string, holds func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("waited %s for %s", most, what))
	defer cancel()
	tick := s.Clock.NewTicker(pollPace)
	defer tick.Stop()
	for {
		done, err := holds(ctx)
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-tick.C():
		}
	}
}

// lines are what was measured, with a histogram.
func (l Launches) lines() []view.Line {
	if len(l.Warm) == 0 || len(l.Cold) == 0 {
		return nil
	}
	lines := []view.Line{
		nil,
		{{Text: fmt.Sprintf("  %-47s %8s %8s %8s", "POST of a Job → its command's first instruction", "p50", "p90", "p99"), FG: view.Grey}},
		l.row(fmt.Sprintf("warm: with one label (%d)", len(l.Warm)), l.Warm, view.Green),
		l.row(fmt.Sprintf("cold: without it (%d)", len(l.Cold)), l.Cold, view.Cyan),
		view.Text(fmt.Sprintf("  half of the warm ones began %.0f times as soon as half of the cold ones", float64(percentile(l.Cold, 50))/float64(percentile(l.Warm, 50)))),
		nil,
	}
	return append(lines, l.histogram()...)
}

func (l Launches) row(what string, times []time.Duration, colour view.Colour) view.Line {
	return view.Line{{Text: fmt.Sprintf("  %-47s", what), FG: colour}, {Text: fmt.Sprintf(" %8s %8s %8s",
		view.Milliseconds(percentile(times, 50)), view.Milliseconds(percentile(times, 90)), view.Milliseconds(percentile(times, 99)))}}
}

// histogram counts both kinds between powers of two.
func (l Launches) histogram() []view.Line {
	least, most := slices.Min(append(slices.Clone(l.Warm), l.Cold...)), slices.Max(append(slices.Clone(l.Warm), l.Cold...))
	var lines []view.Line
	for from := time.Millisecond; from <= most; from *= 2 {
		if 2*from <= least {
			continue
		}
		between := func(times []time.Duration) string {
			n := 0
			for _, t := range times {
				if t >= from && t < 2*from {
					n++
				}
			}
			return string(bytes.Repeat([]byte("█"), n))
		}
		lines = append(lines, view.Line{
			{Text: fmt.Sprintf("  %8s to %-8s ", view.Milliseconds(from), view.Milliseconds(2*from)), FG: view.Grey},
			{Text: between(l.Warm), FG: view.Green},
			{Text: between(l.Cold), FG: view.Cyan},
		})
	}
	return lines
}
