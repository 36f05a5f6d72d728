// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// Guard watches a pool from its beginning for what must never happen: more units than it may have, and a busy pod that
// is deleted. Units are counted by Jobs, or, with layout: SharedJob, by completions.
type Guard struct {
	look    func() (int, error) // counts the units as they are now
	limit   int
	mu      sync.Mutex
	jobs    map[types.UID]int // units of each live Job
	made    int               // Jobs in all
	most    int
	killed  []string
	allowed map[string]bool
}

// Guard begins to watch a pool; the test fails at its end if a promise was broken. most is how many units there may be
// at a time.
func (e *Env) Guard(pool string, most int) *Guard {
	e.T.Helper()
	g := &Guard{jobs: map[types.UID]int{}, allowed: map[string]bool{}, limit: most}
	ctx, cancel := context.WithCancel(context.WithoutCancel(e.T.Context()))
	options := []client.ListOption{client.InNamespace(e.Namespace), client.MatchingLabels{v1alpha1.LabelName: pool}}
	g.look = func() (int, error) { return look(ctx, e.Client, options) }
	var wait sync.WaitGroup
	for _, list := range []client.ObjectList{&batchv1.JobList{}, &corev1.PodList{}} {
		w, err := e.Client.Watch(ctx, list, options...)
		if err != nil {
			cancel()
			e.T.Fatalf("watch pool %s: %v", pool, err)
		}
		wait.Go(func() {
			defer w.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case event, ok := <-w.ResultChan():
					if !ok {
						return
					}
					g.see(event)
				}
			}
		})
	}
	e.T.Cleanup(func() {
		cancel()
		wait.Wait()
		if g.Most() > most {
			e.T.Errorf("pool %s had %d units at a time, at most %d may be", pool, g.Most(), most)
		}
		if killed := g.Killed(); len(killed) > 0 {
			e.T.Errorf("busy pods of pool %s were deleted: %s", pool, strings.Join(killed, ", "))
		}
	})
	return g
}

// Most is the most units that lived at a time.
func (g *Guard) Most() int { g.mu.Lock(); defer g.mu.Unlock(); return g.most }

// Made is how many Jobs were ever made.
func (g *Guard) Made() int { g.mu.Lock(); defer g.mu.Unlock(); return g.made }

// Killed are the pods that were deleted while they were busy.
func (g *Guard) Killed() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.killed...)
}

// Allow lets a pod be deleted while it is busy: the test does so itself.
func (g *Guard) Allow(pod string) { g.mu.Lock(); defer g.mu.Unlock(); g.allowed[pod] = true }

func (g *Guard) see(event watch.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch o := event.Object.(type) {
	case *batchv1.Job:
		g.seeJob(event.Type, o)
	case *corev1.Pod:
		busy := strings.EqualFold(o.Annotations[v1alpha1.AnnotationBusy], "true")
		if gone := event.Type == watch.Deleted || o.DeletionTimestamp != nil; gone && busy && Running(o) && !g.allowed[o.Name] {
			g.allowed[o.Name] = true // once is enough
			g.killed = append(g.killed, fmt.Sprintf("%s (%s)", o.Name, o.Status.Phase))
		}
	}
}

// Running says whether a pod runs.
func Running(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning }

func (g *Guard) seeJob(t watch.EventType, job *batchv1.Job) {
	if t == watch.Added {
		g.made++
	}
	delete(g.jobs, job.UID)
	if t != watch.Deleted && !over(job) {
		g.jobs[job.UID] = unitsOf(job)
	}
	total := 0
	for _, n := range g.jobs {
		total += n
	}
	if _, shared := job.Annotations[unitSize]; shared && total > g.limit {
		// A retired pod holds no place from its deletion on; its shared Job counts it when it is gone.
		if now, err := g.look(); err == nil {
			total = now
		}
	}
	g.most = max(g.most, total)
}

// over says whether a Job has ended or is being deleted.
func over(job *batchv1.Job) bool {
	return job.DeletionTimestamp != nil || slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Status == corev1.ConditionTrue && c.Type != batchv1.JobSuspended
	})
}

// unitsOf is how many units of a Job have not ended.
func unitsOf(job *batchv1.Job) int {
	if job.Spec.BackoffLimitPerIndex == nil || job.Spec.Completions == nil {
		return 1
	}
	n := int(*job.Spec.Completions - job.Status.Succeeded - job.Status.Failed)
	return max(0, n/podsOf(job))
}

// unitSize is the annotation of shared Jobs that says how many pods a unit has.
const unitSize = "hsj.paia.tech/unit-size"

func podsOf(job *batchv1.Job) int {
	pods := 1
	_, _ = fmt.Sscan(job.Annotations[unitSize], &pods)
	return max(1, pods)
}
