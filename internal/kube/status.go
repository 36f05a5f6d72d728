// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// PatchStatus changes the status of a HotStandbyJob where mutate does, and says whether it wrote. The object given is
// left as it is. A conflict is returned: the caller saw an old object, and will see the new one.
func PatchStatus(ctx context.Context, c client.Client, h *v1alpha1.HotStandbyJob, mutate func(*v1alpha1.HotStandbyJobStatus)) (bool, error) {
	changed := h.DeepCopy()
	mutate(&changed.Status)
	if equality.Semantic.DeepEqual(h.Status, changed.Status) {
		return false, nil
	}
	patch := client.MergeFromWithOptions(h, client.MergeFromWithOptimisticLock{}) // a merge patch replaces all conditions
	if err := c.Status().Patch(ctx, changed, patch); err != nil {
		return false, fmt.Errorf("write status: %w", err)
	}
	return true, nil
}
