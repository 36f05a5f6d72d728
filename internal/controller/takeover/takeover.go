// SPDX-License-Identifier: Apache-2.0

// Package takeover frees HotStandbyJobs from what the Python operator put on them. Its finalizer would otherwise keep
// them from ever being deleted, since nobody is left who removes it.
package takeover

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// kopf is the prefix of the finalizer and the annotations of the framework that the Python operator was written with.
const kopf = "kopf.zalando.org/"

// +kubebuilder:rbac:groups=apps.paia.tech,resources=hotstandbyjobs,verbs=get;list;watch;patch

// Reconciler removes kopf's finalizer and annotations.
type Reconciler struct {
	Client client.Client
}

// Reconcile frees one HotStandbyJob, also one that is being deleted.
func (r *Reconciler) Reconcile(ctx context.Context, h *v1alpha1.HotStandbyJob) (ctrl.Result, error) {
	if !marked(h) {
		return ctrl.Result{}, nil
	}
	patch, err := release(h)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("take over from the Python operator: %w", err)
	}
	err = r.Client.Patch(ctx, h, client.RawPatch(types.MergePatchType, patch))
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("take over from the Python operator: %w", err)
	}
	log.FromContext(ctx).Info("took over from the Python operator")
	return ctrl.Result{}, nil
}

// Register adds the controller to a manager.
func (r *Reconciler) Register(mgr ctrl.Manager) error {
	return builder.ControllerManagedBy(mgr).
		Named("hotstandbyjob.takeover").
		For(&v1alpha1.HotStandbyJob{}, builder.WithPredicates(predicate.NewPredicateFuncs(marked))).
		Complete(reconcile.AsReconciler(mgr.GetClient(), r))
}

// marked says whether an object carries anything of kopf's.
func marked(o client.Object) bool {
	for key := range o.GetAnnotations() {
		if strings.HasPrefix(key, kopf) {
			return true
		}
	}
	return slices.ContainsFunc(o.GetFinalizers(), isKopf)
}

func isKopf(finalizer string) bool { return strings.HasPrefix(finalizer, kopf) }

// release is the merge patch that removes all of it. It holds the version, since it replaces the list of finalizers.
func release(h *v1alpha1.HotStandbyJob) ([]byte, error) {
	annotations := map[string]any{}
	for key := range h.Annotations {
		if strings.HasPrefix(key, kopf) {
			annotations[key] = nil
		}
	}
	return json.Marshal(map[string]any{"metadata": map[string]any{
		"resourceVersion": h.ResourceVersion,
		"annotations":     annotations,
		"finalizers":      slices.DeleteFunc(slices.Clone(h.Finalizers), isKopf),
	}})
}
