// SPDX-License-Identifier: Apache-2.0

package track

import (
	"context"
	"errors"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// Watch feeds a tracker until ctx is done. When it returns, nothing that happens from then on is missed.
func (t *Tracker) Watch(ctx context.Context, client kubernetes.Interface, c clock.PassiveClock) error {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.LabelSelector = v1alpha1.LabelName
	}))
	_, podErr := factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { as(o, func(p *corev1.Pod) { t.Pod(p, c.Now()) }) },
		UpdateFunc: func(_, o any) { as(o, func(p *corev1.Pod) { t.Pod(p, c.Now()) }) },
		DeleteFunc: func(o any) { as(o, func(p *corev1.Pod) { t.PodGone(p, c.Now()) }) },
	})
	_, jobErr := factory.Batch().V1().Jobs().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { as(o, func(j *batchv1.Job) { t.Job(j, c.Now()) }) },
		DeleteFunc: func(o any) { as(o, t.JobGone) },
	})
	if err := errors.Join(podErr, jobErr); err != nil {
		return fmt.Errorf("watch pods and Jobs: %w", err)
	}
	factory.StartWithContext(ctx)
	if err := factory.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
		return fmt.Errorf("watch pods and Jobs: %w", err)
	}
	return nil
}

// as hands over the object of an event. The last state of one whose deletion was missed comes wrapped.
func as[T any](o any, do func(T)) {
	if lost, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = lost.Obj
	}
	if typed, ok := o.(T); ok {
		do(typed)
	}
}
