// SPDX-License-Identifier: Apache-2.0

package script

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/demo/internal/track"
	"github.com/paia-tech/hotstandbyjob/demo/internal/view"
)

const (
	flips     = 100
	flipPace  = 240 * time.Millisecond // between one flip and the next, if all goes well
	workTime  = time.Second            // how long a flipped pod stays busy
	endTime   = 30 * time.Second       // within which it must take the order to end
	postEvery = 2                      // flips; each Job to compare with is work for the cluster as well
	mayLack   = 4                      // idle pods; with more of them missing, measuring waits for the pool
	flipsTime = 45 * time.Second       // after which it is enough with fewer flips, on a machine that is slow
	postedBy  = "hsj-demo-post"
)

// measure marks idle pods busy one after the other, as a dispatcher would, and waits for each one's replacement. In
// between it creates Jobs of its own, to have something to compare with.
func (s *Story) measure(ctx context.Context) error {
	defer s.removePosted(ctx)
	workers, ctx := errgroup.WithContext(ctx)
	err := s.flips(ctx, func(pod string) { workers.Go(func() error { return s.end(ctx, pod) }) })
	return errors.Join(err, workers.Wait())
}

// flips marks pods busy until it were enough, or the time is over.
func (s *Story) flips(ctx context.Context, work func(pod string)) error {
	inTime, cancel := context.WithTimeout(ctx, flipsTime)
	defer cancel()
	tick := s.Clock.NewTicker(flipPace)
	defer tick.Stop()
	for n := range flips {
		s.Tell(view.Chapter{
			Step: 1,
			Text: fmt.Sprintf("The demo marks idle pods of %s busy, one after the other, and takes the time until the replacement's Job is there.",
				s.Pools.Flip.Name),
			Progress: fmt.Sprintf("%d of %d.", n, flips),
		})
		pool, err := s.awaitIdle(inTime)
		if inTime.Err() != nil && ctx.Err() == nil {
			return nil // fewer have to do
		}
		if err != nil {
			return err
		}
		if err := s.flip(ctx, pool, work); err != nil {
			return fmt.Errorf("measure with pool %s: %w", s.Pools.Flip.Name, err)
		}
		if n%postEvery == 0 {
			if err := s.post(ctx); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C():
		}
	}
	return nil
}

// awaitIdle returns the pool as it is when (nearly) all of its pods are idle.
func (s *Story) awaitIdle(ctx context.Context) (pool track.Pool, err error) {
	err = s.Tracker.Await(ctx, key(s.Pools.Flip), func(p track.Pool) bool {
		pool = p
		return len(p.Free) > 0 && p.Idle >= p.Target-mayLack
	})
	return pool, err
}

// flip marks one pod busy, and returns when its replacement was seen.
func (s *Story) flip(ctx context.Context, pool track.Pool, work func(pod string)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, replaceTime, fmt.Errorf("a busy pod has no replacement after %s", replaceTime))
	defer cancel()
	for _, pod := range pool.Free {
		done, err := s.markBusy(ctx, types.NamespacedName{Namespace: pool.Name.Namespace, Name: pod})
		if err != nil {
			return err
		}
		if done {
			work(pod)
			return s.Tracker.Await(ctx, pool.Name, func(p track.Pool) bool { return len(p.Waits) > len(pool.Waits) })
		}
	}
	return nil // all have changed since: that was none
}

// markBusy gives a pod work if it is still idle when the server reads the request: this is how a dispatcher makes sure
// that the pod isn't about to be retired.
func (s *Story) markBusy(ctx context.Context, pod types.NamespacedName) (bool, error) {
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/labels/hsj.paia.tech~1state", "value": v1alpha1.PodIdle},
		{"op": "add", "path": "/metadata/annotations/paia.tech~1busy", "value": "true"},
	})
	if err != nil {
		return false, fmt.Errorf("describe the annotation: %w", err)
	}
	_, err = s.Cluster.Client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.JSONPatchType, patch, metav1.PatchOptions{})
	if apierrors.IsInvalid(err) || apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("mark pod %s busy: %w", pod.Name, err)
	}
	return true, nil
}

// end tells a pod, after a while, that its work is done.
func (s *Story) end(ctx context.Context, pod string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, endTime, fmt.Errorf("pod %s does not take the order to end", pod))
	defer cancel()
	tick := s.Clock.NewTicker(workTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C():
		}
		err := s.Cluster.EndWork(ctx, types.NamespacedName{Namespace: Namespace, Name: pod})
		if err == nil || apierrors.IsNotFound(err) {
			return nil
		}
	}
}

// post takes the time of creating one Job like those of the pool. It is suspended, so that it has no pod.
func (s *Story) post(ctx context.Context) error {
	template := s.Pools.Flip.Spec.JobTemplate.Template.DeepCopy()
	template.Spec.RestartPolicy = "Never"
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{GenerateName: postedBy + "-", Namespace: Namespace, Labels: map[string]string{postedBy: "true"}},
		Spec:       batchv1.JobSpec{Suspend: new(true), BackoffLimit: new(int32(0)), Template: *template},
	}
	started := s.Clock.Now()
	_, err := s.Cluster.Client.BatchV1().Jobs(Namespace).Create(ctx, job, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create a Job to compare with: %w", err)
	}
	s.result.Posts = append(s.result.Posts, s.Clock.Since(started))
	return nil
}

// removePosted removes the Jobs of post. What can't be removed goes with the namespace.
func (s *Story) removePosted(ctx context.Context) {
	_ = s.Cluster.Client.BatchV1().Jobs(Namespace).DeleteCollection(ctx,
		metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)},
		metav1.ListOptions{LabelSelector: postedBy})
}
