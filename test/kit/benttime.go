// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"context"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// bentTime is a time that sometimes jumps ahead of the real one.
type bentTime struct{ bends []bend }

type bend struct {
	at time.Time // real
	by time.Duration
}

func (b *bentTime) now() time.Time { return b.of(time.Now()) }

// of is what a real time is in bent time.
func (b *bentTime) of(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	moved := t
	for _, bend := range b.bends {
		if !t.Before(bend.at) {
			moved = moved.Add(bend.by)
		}
	}
	return moved
}

func (b *bentTime) move(t *metav1.Time) {
	if t != nil {
		t.Time = b.of(t.Time)
	}
}

// bentClient reads Jobs and pods whose times are those of a bent time: to the operator it is the only time there is.
type bentClient struct {
	client.Client
	time *bentTime
}

// Get reads an object.
func (c *bentClient) Get(ctx context.Context, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
	if err := c.Client.Get(ctx, key, o, options...); err != nil {
		return err
	}
	c.bend(o)
	return nil
}

// List reads objects.
func (c *bentClient) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if err := c.Client.List(ctx, list, options...); err != nil {
		return err
	}
	// What was listed may be the cache's own.
	switch l := list.(type) {
	case *batchv1.JobList:
		for i := range l.Items {
			l.Items[i] = *l.Items[i].DeepCopy()
			c.bend(&l.Items[i])
		}
	case *corev1.PodList:
		for i := range l.Items {
			l.Items[i] = *l.Items[i].DeepCopy()
			c.bend(&l.Items[i])
		}
	}
	return nil
}

func (c *bentClient) bend(o client.Object) {
	switch o := o.(type) {
	case *batchv1.Job:
		c.time.move(&o.CreationTimestamp)
		for i := range o.Status.Conditions {
			c.time.move(&o.Status.Conditions[i].LastTransitionTime)
		}
	case *corev1.Pod:
		c.time.move(&o.CreationTimestamp)
		for i := range o.Status.Conditions {
			c.time.move(&o.Status.Conditions[i].LastTransitionTime)
		}
		for i := range o.Status.ContainerStatuses {
			state := &o.Status.ContainerStatuses[i].State
			if state.Running != nil {
				c.time.move(&state.Running.StartedAt)
			}
			if state.Terminated != nil {
				c.time.move(&state.Terminated.StartedAt)
				c.time.move(&state.Terminated.FinishedAt)
			}
		}
	}
}
