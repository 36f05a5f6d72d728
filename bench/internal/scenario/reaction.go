// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/bench/internal/cluster"
	"github.com/paia-tech/hotstandbyjob/bench/internal/measure"
	"github.com/paia-tech/hotstandbyjob/bench/internal/result"
	"github.com/paia-tech/hotstandbyjob/lab"
	"github.com/paia-tech/hotstandbyjob/test/drive"
)

// What the scenario measures.
const (
	busyToMade   = "pod says that it is busy → replacement created"
	rawPatchMade = "raw: one pod patch and one Job POST"
)

func reaction() Scenario {
	return Scenario{
		Name: "reaction",
		About: "A pod of a pool with assignment Pull on simulated nodes says by its annotation that it is busy: from when that is sent to the API server " +
			"until the Job that replaces it is seen. One at a time. Beside it: the two writes by themselves.",
		Run: func(ctx context.Context, b Bench) ([]result.Case, error) {
			var cases []result.Case
			for _, pods := range choose(b, []int{10, 100}, []int{10, 100, 1000}) {
				r := reactor{bench: b, pool: pulledPool("pull", pods)}
				runs, err := r.measure(ctx)
				if err != nil {
					return cases, err
				}
				cases = append(cases, result.CaseOf(fmt.Sprintf("annotation, %d pods", pods), runs))
			}
			return cases, nil
		},
	}
}

// pulledPool is a pool on simulated nodes whose pods say by an annotation that they are busy.
func pulledPool(name string, idle int) *v1alpha1.HotStandbyJob {
	h := simulatedPool(name, idle)
	h.Spec.Assignment = v1alpha1.AssignmentPull
	h.Spec.BusyProbe.Mode = v1alpha1.BusyByAnnotation
	return h
}

// reactor turns pods busy.
type reactor struct {
	bench Bench
	pool  *v1alpha1.HotStandbyJob

	*stage
	mu      sync.Mutex
	jobs    map[types.UID]time.Time // when each was first seen
	changed chan struct{}           // has room for one
}

func (r *reactor) measure(ctx context.Context) (runs []*measure.Run, err error) {
	err = r.bench.play(ctx, func(ctx context.Context, s *stage) error {
		r.stage, r.jobs, r.changed = s, map[types.UID]time.Time{}, make(chan struct{}, 1)
		watching, stop := context.WithCancel(ctx)
		var watches sync.WaitGroup
		defer watches.Wait()
		defer stop()
		watches.Go(func() {
			drive.Watcher{Client: s.Client, Namespace: s.Namespace, Log: s.bench.Say}.Jobs(watching, r.see)
		})
		if err := s.Make(ctx, r.pool); err != nil {
			return err
		}
		runs, err = r.bench.repeat(fmt.Sprintf("reaction of %d pods", r.pool.Spec.IdleTarget), func(run int, into *measure.Run) error {
			turns := choose(r.bench, 10, 30)
			if run == 0 {
				turns = 3
			}
			for i := range turns {
				if err := r.turn(ctx, fmt.Sprintf("raw-%d-%02d", run, i), into); err != nil {
					return err
				}
			}
			return nil
		})
		return err
	})
	return runs, err
}

// see takes a Job as it is now.
func (r *reactor) see(event watch.EventType, j *batchv1.Job) {
	now := r.bench.Clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.jobs[j.UID]; known || event == watch.Deleted || j.Labels[v1alpha1.LabelName] != r.pool.Name {
		return
	}
	r.jobs[j.UID] = now
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// turn turns one pod busy when the pool is full, and makes the same writes by itself.
func (r *reactor) turn(ctx context.Context, name string, into *measure.Run) error {
	pods, err := r.full(ctx)
	if err != nil {
		return err
	}
	patch := func(p *corev1.Pod, key, value string) error {
		text := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, key, value)
		if err := r.Client.Patch(ctx, p, client.RawPatch(types.MergePatchType, []byte(text))); err != nil {
			return fmt.Errorf("patch pod %s: %w", p.Name, err)
		}
		return nil
	}
	began := r.bench.Clock.Now()
	if err := patch(&pods[len(pods)-1], "example.com/raw", name); err != nil {
		return err
	}
	j := coldOf(r.pool, name)
	j.Spec.Suspend, j.Spec.ManagedBy = new(true), new("example.com/nobody")
	if err := r.Make(ctx, j); err != nil {
		return err
	}
	into.Took(rawPatchMade, 0, r.bench.Clock.Since(began))

	before := r.known()
	began = r.bench.Clock.Now()
	if err := patch(&pods[0], v1alpha1.AnnotationBusy, "true"); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	for {
		for uid, at := range r.known() {
			if _, old := before[uid]; !old {
				into.Took(busyToMade, 0, at.Sub(began))
				return nil
			}
		}
		select {
		case <-r.changed:
		case <-waiting.Done():
			return fmt.Errorf("wait for the Job that replaces pod %s: %w", pods[0].Name, waiting.Err())
		}
	}
}

// known are the pool's Jobs, and when each was first seen.
func (r *reactor) known() map[types.UID]time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.jobs)
}

// full returns the pods that are idle when the pool has as many as it shall have.
func (r *reactor) full(ctx context.Context) (idle []corev1.Pod, err error) {
	err = cluster.Await(ctx, "the pool is full", func(ctx context.Context) bool {
		var list corev1.PodList
		if r.Client.List(ctx, &list, client.InNamespace(r.Namespace), client.MatchingLabels{v1alpha1.LabelName: r.pool.Name}) != nil {
			return false
		}
		idle = idle[:0]
		for _, p := range list.Items {
			if p.Annotations[v1alpha1.AnnotationBusy] != "true" && p.DeletionTimestamp == nil && podutil.IsPodReady(&p) && lab.Simulated(&p.Spec) {
				idle = append(idle, p)
			}
		}
		return len(idle) == int(r.pool.Spec.IdleTarget)
	})
	return idle, err
}
