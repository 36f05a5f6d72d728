// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"fmt"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// jobIndex is the index of pods by their Job.
const jobIndex = "gateway.job"

// InformerWatcher watches Jobs by informers that are there anyway, so that a Launch costs the API server no request.
type InformerWatcher struct {
	jobs cache.Store
	pods cache.Indexer

	mu    sync.Mutex
	feeds map[types.NamespacedName]map[*feed]struct{}
}

// NewInformerWatcher returns a watcher on the informers of the launcher: of Jobs with the label hsj.paia.tech/pool, and of
// pods with the label hsj.paia.tech/launch. It must be made before they are started.
func NewInformerWatcher(jobs, pods cache.SharedIndexInformer) (*InformerWatcher, error) {
	w := &InformerWatcher{jobs: jobs.GetStore(), pods: pods.GetIndexer(), feeds: map[types.NamespacedName]map[*feed]struct{}{}}
	err := pods.AddIndexers(cache.Indexers{jobIndex: func(o any) ([]string, error) {
		p, ok := o.(*corev1.Pod)
		if !ok {
			return nil, nil
		}
		return []string{jobOf(p).String()}, nil
	}})
	if err != nil {
		return nil, fmt.Errorf("index pods by Job: %w", err)
	}
	for _, informer := range []cache.SharedIndexInformer{jobs, pods} {
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(o any) { w.spread(o, false) },
			UpdateFunc: func(_, o any) { w.spread(o, false) },
			DeleteFunc: func(o any) { w.spread(o, true) },
		})
		if err != nil {
			return nil, fmt.Errorf("watch Jobs and their pods: %w", err)
		}
	}
	return w, nil
}

// jobOf is the Job of a pod, by its label.
func jobOf(p *corev1.Pod) types.NamespacedName {
	return types.NamespacedName{Namespace: p.Namespace, Name: p.Labels[batchv1.JobNameLabel]}
}

// Pods returns the Job's pods.
func (w *InformerWatcher) Pods(_ context.Context, job types.NamespacedName) ([]*corev1.Pod, error) {
	found, err := w.pods.ByIndex(jobIndex, job.String())
	if err != nil {
		return nil, fmt.Errorf("look up the pods of a Job: %w", err)
	}
	var pods []*corev1.Pod
	for _, o := range found {
		if p, ok := o.(*corev1.Pod); ok {
			pods = append(pods, p)
		}
	}
	return pods, nil
}

// Watch sends what the Job and its pods are, and what becomes of them.
func (w *InformerWatcher) Watch(ctx context.Context, job types.NamespacedName) <-chan Change {
	f := &feed{wake: make(chan struct{}, 1), changes: map[types.UID]Change{}}
	w.mu.Lock()
	if w.feeds[job] == nil {
		w.feeds[job] = map[*feed]struct{}{}
	}
	w.feeds[job][f] = struct{}{}
	w.mu.Unlock()
	// Looked up after the feed was added, so that nothing is missed in between.
	if o, ok, err := w.jobs.GetByKey(job.String()); ok && err == nil {
		f.add(o, false)
	}
	pods, _ := w.Pods(ctx, job) // the index exists
	for _, p := range pods {
		f.add(p, false)
	}
	out := make(chan Change)
	go func() {
		defer close(out)
		f.pump(ctx, out)
		w.mu.Lock()
		defer w.mu.Unlock()
		if delete(w.feeds[job], f); len(w.feeds[job]) == 0 {
			delete(w.feeds, job)
		}
	}()
	return out
}

// spread hands an event to those who watch the Job.
func (w *InformerWatcher) spread(o any, gone bool) {
	if last, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = last.Obj
	}
	var job types.NamespacedName
	switch o := o.(type) {
	case *batchv1.Job:
		job = types.NamespacedName{Namespace: o.Namespace, Name: o.Name}
	case *corev1.Pod:
		job = jobOf(o)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for f := range w.feeds[job] {
		f.add(o, gone)
	}
}

// feed is what one watcher hasn't received yet: of each object the newest change, so that a slow reader makes nobody wait
// and takes no more memory than its Job has pods.
type feed struct {
	wake chan struct{}

	mu      sync.Mutex
	order   []types.UID
	changes map[types.UID]Change
}

func (f *feed) add(o any, gone bool) {
	var uid types.UID
	c := Change{Gone: gone}
	switch o := o.(type) {
	case *batchv1.Job:
		uid, c.Job = o.UID, o
	case *corev1.Pod:
		uid, c.Pod = o.UID, o
	default:
		return
	}
	f.mu.Lock()
	if _, ok := f.changes[uid]; !ok {
		f.order = append(f.order, uid)
	}
	f.changes[uid] = c
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// next takes the oldest change.
func (f *feed) next() (Change, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.order) == 0 {
		return Change{}, false
	}
	uid := f.order[0]
	f.order = f.order[1:]
	c := f.changes[uid]
	delete(f.changes, uid)
	return c, true
}

// pump sends changes until ctx is done.
func (f *feed) pump(ctx context.Context, out chan<- Change) {
	for {
		c, ok := f.next()
		if !ok {
			select {
			case <-f.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		select {
		case out <- c:
		case <-ctx.Done():
			return
		}
	}
}
