// SPDX-License-Identifier: Apache-2.0

package launch

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/fit"
	"github.com/paia-tech/hotstandbyjob/internal/standby"
)

// Pools knows the pools. It answers from memory.
type Pools interface {
	// Pool returns the pool of a name, or false if there is none.
	Pool(name types.NamespacedName) (Pool, bool)
}

// Pool is what the launcher must know of a pool.
type Pool struct {
	// Push says that it hands out work; no pod is taken from one that doesn't.
	Push bool
	// Fit has what its pods are made from.
	Fit fit.Pool
	// WhenEmpty says what becomes of a launch when no pod is idle; empty: ColdStart.
	WhenEmpty v1alpha1.WhenEmpty
	// Capacity is how many of its pods can be idle at once at most. A gang that is greater can never be started warm. 0
	// means that it isn't known.
	Capacity int
}

// Registry hands out idle pods; FromRegistry makes one of a *standby.Registry.
type Registry interface {
	// Reserve promises n idle pods of a pool, or none and then its error is standby.ErrNoneIdle. It doesn't wait.
	Reserve(pool types.NamespacedName, n int) (Reservation, error)
	// Idle is how many pods of a pool are idle and promised to nobody.
	Idle(pool types.NamespacedName) int
	// GiveBack makes a claimed pod the pool's again, without the Job's finalizer and only to be deleted.
	GiveBack(ctx context.Context, p *corev1.Pod, pool types.NamespacedName, finalizer string) error
	// OnIdle adds a function that is called when there may be one more.
	OnIdle(f func(pool types.NamespacedName))
}

// Reservation is a promise of some idle pods.
type Reservation interface {
	// Claim claims one of them. An error other than standby.ErrNoneIdle leaves the promise as it was.
	Claim(ctx context.Context, c standby.Claim) (*corev1.Pod, error)
	// Release gives back what wasn't claimed.
	Release()
}

// FromRegistry is the registry as the launcher wants it.
func FromRegistry(r *standby.Registry) Registry { return registry{r} }

type registry struct{ *standby.Registry }

func (r registry) Reserve(pool types.NamespacedName, n int) (Reservation, error) {
	reservation, err := r.Registry.Reserve(pool, n)
	if err != nil {
		return nil, err
	}
	return reservation, nil
}
