// SPDX-License-Identifier: Apache-2.0

// Package pool keeps pools of standby Jobs, or with assignment Push of standby pods: it observes a HotStandbyJob's Jobs
// and pods, lets internal/pool decide, carries the plan out, and reports.
package pool

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/object"
	"github.com/paia-tech/hotstandbyjob/internal/pool"
	"github.com/paia-tech/hotstandbyjob/internal/probe"
	"github.com/paia-tech/hotstandbyjob/internal/standby"
)

// +kubebuilder:rbac:groups=apps.paia.tech,resources=hotstandbyjobs,verbs=get;list;watch
// +kubebuilder:rbac:groups=apps.paia.tech,resources=hotstandbyjobs/status,verbs=patch
// +kubebuilder:rbac:groups=apps.paia.tech,resources=hotstandbyjobs/finalizers,verbs=update
// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=pods/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=nodes,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Prober reads the busy signals that pods have to be asked for.
type Prober interface {
	Set(p probe.Pool)
	Readings(pool types.NamespacedName) map[types.UID]probe.Reading
	Forget(pool types.NamespacedName)
	Recheck(ctx context.Context, pool types.NamespacedName, targets []probe.Target) map[types.UID]probe.Reading
}

// Registry hears what workloads with the entrypoint report.
type Registry interface {
	Works(pool types.NamespacedName) map[types.UID]standby.Work
}

// Reconciler keeps pools. All fields but Standby, Entrypoint and Observer must be set.
type Reconciler struct {
	Client   client.Client // reads from the cache, and then sees its own writes
	Reader   client.Reader // reads from the API server
	Direct   client.Client // writes of which nothing is read back: dry runs, objects that aren't cached
	Recorder events.EventRecorder
	Prober   Prober
	Clock    clock.PassiveClock
	Suffix   func() string // five random characters of [a-z0-9], for names
	Secrets  bool          // Secrets with Redis passwords may be read
	Indexes  int32         // how many indexes a shared Job gets before another takes over

	// StatusPeriod is how long a pool's status waits after the one before: in a burst of launches each would be a write
	// more. Zero: it never waits.
	StatusPeriod time.Duration

	// Unlaunchable says that the cluster's Jobs can't be run by the launcher, so that no pool can have assignment: Push.
	Unlaunchable bool

	Standby    Registry                 // nil: there is none, and no launch
	Entrypoint func() object.Entrypoint // as it is now, for its certificates are renewed; nil: there is none

	Observer Observer // nil: there is none

	memories memories
}

// Reconcile brings one pool a step nearer to its spec.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	h := &v1alpha1.HotStandbyJob{}
	if err := r.Client.Get(ctx, req.NamespacedName, h); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.forget(req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !h.DeletionTimestamp.IsZero() {
		r.forget(req.NamespacedName) // the garbage collector takes the Jobs
		return ctrl.Result{}, nil
	}
	m := r.memories.of(h)
	s, err := r.observe(ctx, h, m)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("observe: %w", err)
	}
	plan := pool.Decide(s.state)
	m.decided = plan.Memory
	log.FromContext(ctx).V(4).Info("decided", "desired", plan.Desired, "create", plan.Create,
		"retire", plan.Retire, "remove", plan.Remove, "wake", plan.Wake)

	r.tell(s, plan)
	err = r.act(ctx, s, plan)
	return ctrl.Result{RequeueAfter: s.soonest(plan.Wake)}, err
}

func (r *Reconciler) forget(name types.NamespacedName) {
	r.memories.forget(name)
	r.Prober.Forget(name)
	if r.Observer != nil {
		r.Observer.Gone(name)
	}
}

// soonest is when to look again: for the plan, for a pod that changes by time alone, for the server's second opinion, for a
// password that may have been corrected, or to write a status that waits.
func (s *snapshot) soonest(wake time.Duration) time.Duration {
	for _, u := range s.units {
		wake = pool.Sooner(wake, u.Wake)
	}
	for _, next := range []time.Time{s.memory.admission.next, s.memory.password.again, s.memory.status.due} {
		if !next.IsZero() {
			wake = pool.Sooner(wake, max(time.Millisecond, next.Sub(s.state.Now)))
		}
	}
	if !s.memory.uncertified.IsZero() {
		wake = pool.Sooner(wake, certificateLook)
	}
	return wake
}

var _ reconcile.Reconciler = (*Reconciler)(nil)
