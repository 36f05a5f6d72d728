// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// Change is a Job or one of its pods as it is now. Pods don't change under their readers.
type Change struct {
	Job  *batchv1.Job
	Pod  *corev1.Pod
	Gone bool
}

// Watcher tells what becomes of Jobs.
type Watcher interface {
	// Watch sends what the Job and its pods are, and each change, until ctx is done; then it closes the channel. It may
	// leave out what was followed by a later change, and say the same again.
	Watch(ctx context.Context, job types.NamespacedName) <-chan Change
	// Pods returns the Job's pods as they are.
	Pods(ctx context.Context, job types.NamespacedName) ([]*corev1.Pod, error)
}

// apiWatcher asks the API server for each Job by itself.
type apiWatcher struct{ client kubernetes.Interface }

func podsOf(job string) string {
	return labels.Set{batchv1.JobNameLabel: job}.String()
}

func (w apiWatcher) Pods(ctx context.Context, job types.NamespacedName) ([]*corev1.Pod, error) {
	list, err := w.client.CoreV1().Pods(job.Namespace).List(ctx, metav1.ListOptions{LabelSelector: podsOf(job.Name)})
	if err != nil {
		return nil, err
	}
	var pods []*corev1.Pod
	for i := range list.Items {
		pods = append(pods, &list.Items[i])
	}
	return pods, nil
}

func (w apiWatcher) Watch(ctx context.Context, job types.NamespacedName) <-chan Change {
	jobs, pods := w.client.BatchV1().Jobs(job.Namespace), w.client.CoreV1().Pods(job.Namespace)
	this := func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("metadata.name", job.Name).String()
	}
	its := func(o *metav1.ListOptions) { o.LabelSelector = podsOf(job.Name) }
	// An informer each, which lists and watches anew when a watch ends.
	_, _, jobEvents, jobDone := watchtools.NewIndexerInformerWatcher(w.listWatch(cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			this(&o)
			return jobs.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			this(&o)
			return jobs.Watch(ctx, o)
		},
	}), &batchv1.Job{})
	_, _, podEvents, podDone := watchtools.NewIndexerInformerWatcher(w.listWatch(cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			its(&o)
			return pods.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			its(&o)
			return pods.Watch(ctx, o)
		},
	}), &corev1.Pod{})
	changes := make(chan Change)
	go func() {
		defer close(changes)
		merge(ctx, changes, jobEvents.ResultChan(), podEvents.ResultChan())
		jobEvents.Stop()
		podEvents.Stop()
		<-jobDone
		<-podDone
	}()
	return changes
}

// listWatch tells an informer what the client can do: a fake one can't send what there is as events.
func (w apiWatcher) listWatch(l cache.ListWatch) cache.ListerWatcher {
	return cache.ToListWatcherWithWatchListSemantics(&l, w.client)
}

// merge sends both kinds of events until ctx is done.
func merge(ctx context.Context, changes chan<- Change, jobs, pods <-chan watch.Event) {
	for {
		var e watch.Event
		var open bool
		select {
		case <-ctx.Done():
			return
		case e, open = <-jobs:
		case e, open = <-pods:
		}
		if !open {
			return
		}
		c := Change{Gone: e.Type == watch.Deleted}
		switch o := e.Object.(type) {
		case *batchv1.Job:
			c.Job = o
		case *corev1.Pod:
			c.Pod = o
		default:
			continue // an error, after which the informer goes on by itself
		}
		select {
		case changes <- c:
		case <-ctx.Done():
			return
		}
	}
}
