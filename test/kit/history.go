// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// History is what happened to a pool's Jobs and pods from its beginning. Unlike a Guard it can put what two watches tell
// into the order in which the server carried it out, so that a unit whose pod has ended before its replacement was made
// isn't counted beside it. Units have one pod and are not started twice.
type History struct {
	mu      sync.Mutex
	changes []change
}

type change struct {
	version uint64
	kind    watch.EventType
	object  client.Object
}

// History begins to record what happens to a pool.
func (e *Env) History(pool string) *History {
	e.T.Helper()
	h := &History{}
	ctx, cancel := context.WithCancel(context.WithoutCancel(e.T.Context()))
	var wait sync.WaitGroup
	for _, list := range []client.ObjectList{&batchv1.JobList{}, &corev1.PodList{}} {
		w, err := e.Client.Watch(ctx, list, client.InNamespace(e.Namespace), client.MatchingLabels{v1alpha1.LabelName: pool})
		if err != nil {
			cancel()
			e.T.Fatalf("watch pool %s: %v", pool, err)
		}
		wait.Go(func() {
			for event := range w.ResultChan() {
				h.add(event)
			}
		})
		e.T.Cleanup(w.Stop)
	}
	e.T.Cleanup(func() {
		cancel()
		wait.Wait()
	})
	return h
}

func (h *History) add(event watch.Event) {
	o, ok := event.Object.(client.Object)
	if !ok {
		return
	}
	// All objects of a cluster are numbered together: the order of their versions is that of their changes.
	version, err := strconv.ParseUint(o.GetResourceVersion(), 10, 64)
	if err != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changes = append(h.changes, change{version: version, kind: event.Type, object: o})
}

// Live is how many units lived after each change, from the first to the last.
func (h *History) Live() []int {
	h.mu.Lock()
	changes := slices.Clone(h.changes)
	h.mu.Unlock()
	slices.SortFunc(changes, func(a, b change) int { return cmp.Compare(a.version, b.version) })
	m := &census{jobs: map[types.UID]*batchv1.Job{}, ended: map[string]bool{}}
	live := make([]int, 0, len(changes))
	for _, c := range changes {
		m.see(c)
		live = append(live, m.live())
	}
	return live
}

// Most is the most units that lived at a time.
func (h *History) Most() int {
	live := h.Live()
	if len(live) == 0 {
		return 0
	}
	return slices.Max(live)
}

// Made is how many Jobs were ever made.
func (h *History) Made() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	jobs := map[types.UID]bool{}
	for _, c := range h.changes {
		if job, ok := c.object.(*batchv1.Job); ok {
			jobs[job.UID] = true
		}
	}
	return len(jobs)
}

// census is what lives at a point of a history.
type census struct {
	jobs  map[types.UID]*batchv1.Job
	ended map[string]bool // units, by Job and index
}

func (m *census) see(c change) {
	switch o := c.object.(type) {
	case *batchv1.Job:
		m.jobs[o.UID] = o
		if c.kind == watch.Deleted {
			delete(m.jobs, o.UID)
		}
	case *corev1.Pod:
		if owner := metav1.GetControllerOf(o); owner != nil && (c.kind == watch.Deleted || !Live(o)) {
			m.ended[unitOf(owner.UID, o.Annotations[batchv1.JobCompletionIndexAnnotation])] = true
		}
	}
}

func unitOf(job types.UID, index string) string { return fmt.Sprintf("%s/%s", job, index) }

func (m *census) live() int {
	n := 0
	for uid, job := range m.jobs {
		switch {
		case job.DeletionTimestamp != nil || finished(job):
		case job.Spec.BackoffLimitPerIndex == nil:
			if !m.ended[unitOf(uid, "")] {
				n++
			}
		default:
			for i := range int(*job.Spec.Completions) {
				if !m.ended[unitOf(uid, strconv.Itoa(i))] {
					n++
				}
			}
		}
	}
	return n
}

func finished(job *batchv1.Job) bool {
	return slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Status == corev1.ConditionTrue && c.Type != batchv1.JobSuspended
	})
}
