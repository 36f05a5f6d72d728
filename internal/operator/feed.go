// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/controller/pool"
	"github.com/paia-tech/hotstandbyjob/internal/launch"
	"github.com/paia-tech/hotstandbyjob/internal/standby"
)

// feed tells the registry and the launcher what the cache hears, also in replicas that don't lead: a new leader can claim
// at once. It returns what tells whether they have heard of all that there was.
func feed(ctx context.Context, mgr ctrl.Manager, registry *standby.Registry, launcher *launch.Launcher) ([]toolscache.InformerSynced, error) {
	pods, failed := on(ctx, mgr, &corev1.Pod{}, func(_, p *corev1.Pod) { registry.Observe(p) }, func(p *corev1.Pod) { registry.Forget(p.UID) })
	changed := func(before, h *v1alpha1.HotStandbyJob) {
		if h.Spec.Assignment == v1alpha1.AssignmentPush && h.DeletionTimestamp == nil {
			registry.SetPool(client.ObjectKeyFromObject(h), pool.Settings(h))
		}
		// Its status changes all the time, and each Job that waits would be looked at.
		if before == nil || before.UID != h.UID || before.Generation != h.Generation {
			launcher.PoolChanged(client.ObjectKeyFromObject(h))
		}
	}
	gone := func(h *v1alpha1.HotStandbyJob) {
		registry.DropPool(client.ObjectKeyFromObject(h))
		launcher.PoolChanged(client.ObjectKeyFromObject(h))
	}
	pools, failedToo := on(ctx, mgr, &v1alpha1.HotStandbyJob{}, changed, gone)
	cordoned := func(_, n *corev1.Node) { registry.SetCordoned(n.Name, n.Spec.Unschedulable) }
	nodes, failedAsWell := on(ctx, mgr, &corev1.Node{}, cordoned, func(n *corev1.Node) { registry.SetCordoned(n.Name, false) })
	return []toolscache.InformerSynced{pods, pools, nodes}, errors.Join(failed, failedToo, failedAsWell)
}

// on calls functions with each object of a kind that the cache has, and how it was before, nil if it is new; or that the cache
// no longer has.
func on[T client.Object](ctx context.Context, mgr ctrl.Manager, kind T, seen func(before, now T), gone func(T)) (toolscache.InformerSynced, error) {
	informer, err := mgr.GetCache().GetInformer(ctx, kind, cache.BlockUntilSynced(false))
	if err != nil {
		return nil, fmt.Errorf("watch %T: %w", kind, err)
	}
	see := func(before, now any) {
		was, _ := before.(T)
		if is, ok := now.(T); ok {
			seen(was, is)
		}
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { see(nil, o) },
		UpdateFunc: see,
		DeleteFunc: func(o any) {
			if tombstone, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
				o = tombstone.Obj
			}
			if t, ok := o.(T); ok {
				gone(t)
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("watch %T: %w", kind, err)
	}
	return registration.HasSynced, nil
}

// runner runs the launcher, and has it take away the pods that don't start what they were given.
type runner struct {
	launcher *launch.Launcher
	stuck    workqueue.TypedRateLimitingInterface[standby.Pod]
	log      logr.Logger
}

func newRunner(mgr ctrl.Manager, launcher *launch.Launcher, registry *standby.Registry) *runner {
	r := &runner{
		launcher: launcher, log: mgr.GetLogger().WithName("launcher"),
		stuck: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[standby.Pod]()),
	}
	registry.OnStuck(r.stuck.Add)
	return r
}

// NeedLeaderElection says that the leader alone runs launches.
func (r *runner) NeedLeaderElection() bool { return true }

// Start runs launches until ctx is done.
func (r *runner) Start(ctx context.Context) error {
	var wait sync.WaitGroup
	defer wait.Wait()
	defer r.stuck.ShutDown()
	wait.Go(func() {
		for r.release(ctx) {
		}
	})
	return r.launcher.Start(ctx)
}

// release takes away the next pod that is stuck, and says whether there may be another.
func (r *runner) release(ctx context.Context) bool {
	pod, over := r.stuck.Get()
	if over {
		return false
	}
	defer r.stuck.Done(pod)
	if err := r.launcher.ReleaseStuck(ctx, pod); err != nil && ctx.Err() == nil {
		r.log.Error(err, "take away a pod that doesn't start its launch", "pod", pod.Name, "namespace", pod.Namespace)
		r.stuck.AddRateLimited(pod)
		return true
	}
	r.stuck.Forget(pod)
	return true
}
