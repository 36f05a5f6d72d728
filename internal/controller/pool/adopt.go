// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/object"
	"github.com/paia-tech/hotstandbyjob/internal/unit"
)

// adopt makes a pool the owner of a Job that has none, or, with assignment Push, of a pod.
func (r *Reconciler) adopt(ctx context.Context, h *v1alpha1.HotStandbyJob, o client.Object) error {
	kind, reason := "Job", ReasonJobAdopted
	if _, ok := o.(*corev1.Pod); ok {
		kind, reason = "Pod", ReasonPodAdopted
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid":             o.GetUID(),
		"ownerReferences": append(o.GetOwnerReferences(), object.Owner(h)),
	}})
	if err != nil {
		return fmt.Errorf("adopt %s %s: %w", kind, o.GetName(), err)
	}
	if err := r.Client.Patch(ctx, o, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("adopt %s %s: %w", kind, o.GetName(), err)
	}
	r.event(h, corev1.EventTypeNormal, reason, "Adopt", "adopted "+kind+" "+o.GetName()+", which had no owner")
	return nil
}

// labelPods labels the pods of a Job that doesn't label them itself as the pool's, so that the cache has them, and takes
// those that it doesn't have yet into the snapshot.
func (r *Reconciler) labelPods(ctx context.Context, s *snapshot, job *batchv1.Job) error {
	if unit.Finished(job) != nil || s.hasAllPods(job) {
		return nil
	}
	var list corev1.PodList
	err := r.Reader.List(ctx, &list, client.InNamespace(job.Namespace), client.MatchingLabels{batchv1.JobNameLabel: job.Name})
	if err != nil {
		return fmt.Errorf("list pods of Job %s: %w", job.Name, err)
	}
	for i := range list.Items {
		p := &list.Items[i]
		if !metav1.IsControlledBy(p, job) || p.DeletionTimestamp != nil || p.Labels[v1alpha1.LabelName] == s.pool.Name {
			continue
		}
		patch := client.RawPatch(types.MergePatchType, object.NamePatch(p.UID, s.pool.Name))
		if err := r.Client.Patch(ctx, p, patch); err != nil {
			return fmt.Errorf("label pod %s: %w", p.Name, err)
		}
		s.pods[job.UID] = append(s.pods[job.UID], p)
	}
	return nil
}

// hasAllPods says whether the pods that a Job counts as active are known. They are counted, since it may have made
// others in place of those that are gone.
func (s *snapshot) hasAllPods(job *batchv1.Job) bool {
	known := s.pods[job.UID]
	active := slices.DeleteFunc(slices.Clone(known), func(p *corev1.Pod) bool { return p.DeletionTimestamp != nil || ended(p) })
	return len(known) > 0 && len(active) >= int(job.Status.Active)
}
