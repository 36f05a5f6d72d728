// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"math"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/fit"
	"github.com/paia-tech/hotstandbyjob/internal/gateway"
	"github.com/paia-tech/hotstandbyjob/internal/launch"
	"github.com/paia-tech/hotstandbyjob/internal/object"
)

// pools are the HotStandbyJobs in the cache, as the launcher, the gateway, the page and the scaler want to know them. The
// cache itself is read, which doesn't wait for the operator's own writes.
type pools struct{ cache client.Reader }

// Pool is a pool by its name, or false if there is none.
func (p pools) Pool(name types.NamespacedName) (launch.Pool, bool) {
	h, err := p.Get(context.Background(), name) // the cache answers from memory
	if err != nil {
		return launch.Pool{}, false
	}
	return launch.Pool{
		Push:      h.Spec.Assignment == v1alpha1.AssignmentPush,
		Fit:       fit.Pool{Template: *object.Template(h), Container: object.StandbyContainer(h)},
		WhenEmpty: object.Standby(h).WhenEmpty,
		Capacity:  capacity(h),
	}, true
}

// Template is what a pool's pods are made from, and the container that waits for work.
func (p pools) Template(ctx context.Context, name types.NamespacedName) (corev1.PodTemplateSpec, string, error) {
	h, err := p.Get(ctx, name)
	if err != nil {
		return corev1.PodTemplateSpec{}, "", err
	}
	if h.Spec.Assignment != v1alpha1.AssignmentPush {
		return corev1.PodTemplateSpec{}, "", gateway.ErrNotPush
	}
	return *object.Template(h), object.StandbyContainer(h), nil
}

// exists tells whether there is a pool. While the cache can't say, there is.
func (p pools) exists(name types.NamespacedName) bool {
	_, err := p.Get(context.Background(), name)
	return !apierrors.IsNotFound(err)
}

// Get is a pool as it is in the cache.
func (p pools) Get(ctx context.Context, name types.NamespacedName) (*v1alpha1.HotStandbyJob, error) {
	h := &v1alpha1.HotStandbyJob{}
	if err := p.cache.Get(ctx, name, h); err != nil {
		return nil, err
	}
	return h, nil
}

// capacity is how many pods of a pool can be idle at once at most.
func capacity(h *v1alpha1.HotStandbyJob) int {
	idle := max(h.Spec.IdleTarget, ptr.Deref(h.Spec.MinReplicas, 0))
	return int(min(idle, ptr.Deref(h.Spec.MaxReplicas, math.MaxInt32)))
}
