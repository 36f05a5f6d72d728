// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/condition"
	"github.com/paia-tech/hotstandbyjob/internal/object"
	"github.com/paia-tech/hotstandbyjob/internal/pool"
	"github.com/paia-tech/hotstandbyjob/internal/signal"
	"github.com/paia-tech/hotstandbyjob/internal/standby"
	"github.com/paia-tech/hotstandbyjob/internal/unit"
)

// push says whether the units of a pool are plain pods that are given their work.
func push(h *v1alpha1.HotStandbyJob) bool { return h.Spec.Assignment == v1alpha1.AssignmentPush }

const (
	// certificateLook is when it is looked again whether the gateway has a certificate.
	certificateLook = time.Second
	// certificatePatience is how long it may have none: while the operator is being installed that is a matter of a second.
	certificatePatience = 10 * time.Second
)

// noCertificate is why no pod is made whose entrypoint would never trust the gateway.
var noCertificate = condition.Trouble{
	Reason: condition.ReasonNoCertificate,
	Message: "no pods are made, since they could not trust the gateway: it has no certificate; the operator's log says why its " +
		"Secret can't be made, filled or read",
}

// noteCertified notes whether what is to be made can be made, and since when it can't.
func (s *snapshot) noteCertified(is bool) bool {
	switch m := s.memory; {
	case is:
		m.uncertified = time.Time{}
	case m.uncertified.IsZero():
		m.uncertified = s.view.Now
	}
	return is
}

// certified says whether what new pods of a pool need of the gateway is there.
func (r *Reconciler) certified(h *v1alpha1.HotStandbyJob) bool {
	e := r.entrypoint()
	connects := push(h) || h.Spec.BusyProbe.Mode == v1alpha1.BusyByReport
	return !connects || e.GatewayURL == "" || e.CA != ""
}

// entrypoint is what the pods must be told of the operator.
func (r *Reconciler) entrypoint() object.Entrypoint {
	if r.Entrypoint == nil {
		return object.Entrypoint{}
	}
	return r.Entrypoint()
}

// listStandbys lists the plain pods of a pool: those that it owns, and those that launches have taken from it. Pods
// without an owner that the operator has made are adopted: a HotStandbyJob that was deleted without its pods left them.
func (r *Reconciler) listStandbys(ctx context.Context, s *snapshot) error {
	var list corev1.PodList
	if err := r.listCached(ctx, s.pool, &list); err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	var pods []*corev1.Pod
	for i := range list.Items {
		p := &list.Items[i]
		owner := metav1.GetControllerOfNoCopy(p)
		switch {
		case unit.Claimed(p):
		case owner != nil && owner.UID == s.pool.UID:
		case owner == nil && p.DeletionTimestamp == nil && p.Labels[v1alpha1.LabelRevision] != "":
			p = p.DeepCopy() // it is told what it has become
			if err := r.adopt(ctx, s.pool, p); err != nil {
				return err
			}
		default:
			continue
		}
		pods = append(pods, p)
	}
	s.pods = map[types.UID][]*corev1.Pod{s.pool.UID: pods}
	return nil
}

// Settings are what the registry must know of a pool with assignment Push.
func Settings(h *v1alpha1.HotStandbyJob) standby.PoolSettings {
	return standby.PoolSettings{
		UID:             h.UID,
		Revision:        object.Revision(h),
		StartTimeout:    time.Duration(ptr.Deref(object.Standby(h).StartTimeoutSeconds, 0)) * time.Second,
		ManagesEviction: object.ManagesEviction(h),
	}
}

// reports are what the workloads of a pool say about themselves. Of one whose entrypoint isn't connected nothing is known.
func (r *Reconciler) reports(name types.NamespacedName) map[string]signal.Reading {
	readings := map[string]signal.Reading{}
	if r.Standby == nil {
		return readings
	}
	for uid, work := range r.Standby.Works(name) {
		switch work {
		case standby.WorkBusy:
			readings[string(uid)] = signal.Reading{Signal: signal.Busy, Last: signal.Busy}
		case standby.WorkIdle:
			readings[string(uid)] = signal.Reading{Signal: signal.Idle, Last: signal.Idle}
		case standby.WorkUnknown: // the same as of one that isn't there
		}
	}
	return readings
}

// reportIdle looks once more at what the pods of a unit say.
func (r *Reconciler) reportIdle(name types.NamespacedName, u unit.Unit, pods []*corev1.Pod) bool {
	readings := r.reports(name)
	for _, p := range pods {
		now, ok := readings[string(p.UID)]
		if now.Signal != signal.Idle && (ok || u.Phase != pool.Starting) {
			return false
		}
	}
	return true
}
