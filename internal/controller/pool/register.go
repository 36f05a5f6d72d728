// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/kube"
	"github.com/paia-tech/hotstandbyjob/internal/pool"
)

// nodeIndex is the index of pods by node.
const nodeIndex = "node"

// Signals carries the names of pools whose pods said something new.
type Signals chan event.TypedGenericEvent[types.NamespacedName]

// Register adds the controller to a manager. signals is what the prober notifies of.
func (r *Reconciler) Register(ctx context.Context, mgr ctrl.Manager, signals Signals, workers int) error {
	if err := kube.Index(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	err := mgr.GetFieldIndexer().IndexField(ctx, &corev1.Pod{}, nodeIndex, func(o client.Object) []string {
		p, _ := o.(*corev1.Pod)
		return []string{p.Spec.NodeName}
	})
	if err != nil {
		return fmt.Errorf("index pods by node: %w", err)
	}
	byLabel := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetLabels()[v1alpha1.LabelName]}}}
	})
	return builder.ControllerManagedBy(mgr).
		Named("hotstandbyjob.pool").
		For(&v1alpha1.HotStandbyJob{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, beingDeleted()))).
		Watches(&batchv1.Job{}, byLabel).
		Watches(&corev1.Pod{}, byLabel, builder.WithPredicates(unspent())).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(r.poolsOnNode), builder.WithPredicates(nodeChanged())).
		WatchesRawSource(source.TypedChannel(signals, handler.TypedFuncs[types.NamespacedName, reconcile.Request]{
			GenericFunc: func(_ context.Context, e event.TypedGenericEvent[types.NamespacedName], q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
				q.Add(reconcile.Request{NamespacedName: e.Object})
			},
		})).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: workers,
			RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](
				50*time.Millisecond, pool.MaxBackoff),
		}).
		Complete(r)
}

func beingDeleted() predicate.Predicate {
	return predicate.NewPredicateFuncs(func(o client.Object) bool { return o.GetDeletionTimestamp() != nil })
}

// unspent lets pass what becomes of pods until they are their launch's alone.
func unspent() predicate.Predicate {
	is := func(o client.Object) bool {
		p, ok := o.(*corev1.Pod)
		return ok && !kube.Spent(p)
	}
	funcs := predicate.NewPredicateFuncs(is)
	funcs.UpdateFunc = func(e event.UpdateEvent) bool { return is(e.ObjectOld) || is(e.ObjectNew) }
	return funcs
}

// nodeChanged lets pass what the decision reads of nodes, and not their heartbeats.
func nodeChanged() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false }, // its pods come after it
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok := e.ObjectOld.(*corev1.Node)
			after, also := e.ObjectNew.(*corev1.Node)
			return ok && also && (before.Spec.Unschedulable != after.Spec.Unschedulable || kube.NodeReady(before) != kube.NodeReady(after))
		},
	}
}

// poolsOnNode are the pools with pods on a node.
func (r *Reconciler) poolsOnNode(ctx context.Context, node client.Object) []reconcile.Request {
	var pods corev1.PodList
	if err := r.Client.List(ctx, &pods, client.MatchingFields{nodeIndex: node.GetName()}, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list pods of a node", "node", node.GetName())
		return nil
	}
	seen := map[types.NamespacedName]bool{}
	var requests []reconcile.Request
	for i := range pods.Items {
		name := types.NamespacedName{Namespace: pods.Items[i].Namespace, Name: pods.Items[i].Labels[v1alpha1.LabelName]}
		if !seen[name] {
			seen[name] = true
			requests = append(requests, reconcile.Request{NamespacedName: name})
		}
	}
	return requests
}
