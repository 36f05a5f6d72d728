// SPDX-License-Identifier: Apache-2.0

package drive

import (
	"context"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Watcher shows the objects of a namespace, and what happens to them, until a context ends. When the API server ends a
// watch it begins anew, and shows again all that are there.
type Watcher struct {
	Client    client.WithWatch
	Namespace string
	Log       Log
}

// Pods shows pods.
func (w Watcher) Pods(ctx context.Context, see func(watch.EventType, *corev1.Pod)) {
	watchAll(ctx, w, &corev1.PodList{}, see)
}

// Jobs shows Jobs.
func (w Watcher) Jobs(ctx context.Context, see func(watch.EventType, *batchv1.Job)) {
	watchAll(ctx, w, &batchv1.JobList{}, see)
}

func watchAll[O client.Object](ctx context.Context, w Watcher, list client.ObjectList, see func(watch.EventType, O)) {
	for ctx.Err() == nil {
		if err := watchOnce(ctx, w, list, see); err != nil {
			pause(ctx, w.Log, "watch", err)
		}
	}
}

func watchOnce[O client.Object](ctx context.Context, w Watcher, list client.ObjectList, see func(watch.EventType, O)) error {
	events, err := w.Client.Watch(ctx, list, client.InNamespace(w.Namespace))
	if err != nil {
		return err
	}
	defer events.Stop()
	for event := range events.ResultChan() {
		o, ok := event.Object.(O)
		if !ok {
			return apierrors.FromObject(event.Object)
		}
		see(event.Type, o)
	}
	return nil
}
