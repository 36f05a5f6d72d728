// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/bench/internal/cluster"
	"github.com/paia-tech/hotstandbyjob/bench/internal/measure"
	"github.com/paia-tech/hotstandbyjob/bench/internal/result"
	"github.com/paia-tech/hotstandbyjob/bench/internal/table"
	"github.com/paia-tech/hotstandbyjob/test/drive"
)

// What the scenario measures.
const (
	busyToMade   = "pod says that it is busy → replacement created"
	rawPatchMade = "raw: one pod patch and one Job POST"
)

// whenBusy is a row about one way to say that a unit is busy.
func whenBusy(by, name string) table.Row {
	return table.Row{
		What: "a unit says that it is busy → its replacement is created, p99, " + by, Number: of(name, busyToMade+" p99"),
		Than: "the two writes", Beside: each(rawPatchMade + " p99"),
	}
}

func reaction() Scenario {
	return Scenario{
		Name: "reaction",
		About: "A pod of a pool with assignment Pull says that it is busy: from when that is sent until the Job that replaces it is seen, one at a time. " +
			"By its annotation, by the gateway as its entrypoint does, and by a Redis server that notifies, on simulated nodes; and by HTTP and by " +
			"commands on the real node, where each pod is asked once a second. Beside it: one pod patch and one Job POST by themselves.",
		Rows: []table.Row{
			whenBusy("by annotation, 100 pods", "annotation, 100 pods"), whenBusy("by annotation, 1,000 pods", "annotation, 1000 pods"),
			whenBusy("by report, 1,000 pods", "report, 1000 pods"), whenBusy("by Redis, 1,000 pods", "redis, 1000 pods"),
			whenBusy("by HTTP, asked once a second", "http, 10 pods"), whenBusy("by a command that the kubelet runs, once a second", "exec by the kubelet, 10 pods"),
		},
		Run: func(ctx context.Context, b Bench) ([]result.Case, error) {
			var cases []result.Case
			sizes, turns := choose(b, []int{100}, []int{10, 100, 1000}), choose(b, 5, 30)
			asked := choose(b, nil, []int{10}) // real pods, which take long to start
			for _, tc := range []struct {
				name  string
				by    signal
				sizes []int
				turns int
			}{
				{"annotation", &byAnnotation{}, sizes, turns},
				{"report", &byReport{}, sizes, turns},
				{"redis", &byRedis{}, sizes, turns},
				{"http", askingHTTP(), asked, 10},
				{"exec by the kubelet", askingExec(v1alpha1.ExecKubelet), asked, 10},
				{"exec by the API server", askingExec(v1alpha1.ExecAPIServer), asked, 10},
			} {
				for _, pods := range tc.sizes {
					name := fmt.Sprintf("%s, %d pods", tc.name, pods)
					r := reactor{bench: b, name: name, by: tc.by, pool: pulledPool("pull", pods), turns: tc.turns}
					runs, err := r.measure(ctx)
					if errors.Is(err, errNoRedis) || errors.Is(err, errNoNode) {
						b.Say("reaction by %s isn't measured: %v", tc.name, err)
						continue
					}
					if err != nil {
						return cases, err
					}
					cases = append(cases, result.CaseOf(name, runs))
				}
			}
			return cases, nil
		},
	}
}

// pulledPool is a pool on simulated nodes whose pods take their work themselves.
func pulledPool(name string, idle int) *v1alpha1.HotStandbyJob {
	h := simulatedPool(name, idle)
	h.Spec.Assignment = v1alpha1.AssignmentPull
	return h
}

// reactor turns pods busy.
type reactor struct {
	bench Bench
	name  string
	by    signal
	pool  *v1alpha1.HotStandbyJob
	turns int                // how often a pod turns busy in a run
	said  map[types.UID]bool // pods that have said that they are idle, and whether they are busy by now

	*stage
	mu      sync.Mutex
	jobs    map[types.UID]time.Time // when each was first seen
	changed chan struct{}           // has room for one
}

func (r *reactor) measure(ctx context.Context) (runs []*measure.Run, err error) {
	err = r.bench.play(ctx, "reaction-"+strings.NewReplacer(", ", "-", " ", "-").Replace(r.name), func(ctx context.Context, s *stage) (err error) {
		r.stage, r.said, r.jobs, r.changed = s, map[types.UID]bool{}, map[types.UID]time.Time{}, make(chan struct{}, 1)
		end, err := r.by.prepare(ctx, s, r.pool)
		defer func() { err = errors.Join(err, end()) }()
		if err != nil {
			return err
		}
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
		runs, err = r.repeat("reaction by "+r.name, func(run int, into *measure.Run) error {
			turns := r.turns
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
	began := r.bench.Clock.Now()
	if err := annotate(ctx, r.Client, &pods[len(pods)-1], "example.com/raw", name); err != nil {
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
	r.said[pods[0].UID] = true
	if err := r.by.busy(ctx, &pods[0]); err != nil {
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

// full returns the pods that are idle when the pool has as many as it shall have, and the operator knows that.
func (r *reactor) full(ctx context.Context) (idle []corev1.Pod, err error) {
	var fault error
	err = cluster.Await(ctx, "the pool is full", func(ctx context.Context) bool {
		var list corev1.PodList
		if r.Client.List(ctx, &list, client.InNamespace(r.Namespace), client.MatchingLabels{v1alpha1.LabelName: r.pool.Name}) != nil {
			return false
		}
		idle = idle[:0]
		for _, p := range list.Items {
			if p.DeletionTimestamp != nil || p.Status.Phase != corev1.PodRunning || r.said[p.UID] {
				continue
			}
			if _, known := r.said[p.UID]; !known {
				if fault = r.by.idle(ctx, &p); fault != nil {
					return true
				}
				r.said[p.UID] = false
			}
			idle = append(idle, p)
		}
		if len(idle) != int(r.pool.Spec.IdleTarget) {
			return false
		}
		h := &v1alpha1.HotStandbyJob{}
		err := r.Client.Get(ctx, client.ObjectKeyFromObject(r.pool), h)
		return err == nil && h.Status.IdleCount == r.pool.Spec.IdleTarget
	})
	return idle, errors.Join(err, fault)
}
