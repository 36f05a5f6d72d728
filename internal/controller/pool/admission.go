// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"errors"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/condition"
	"github.com/paia-tech/hotstandbyjob/internal/object"
	"github.com/paia-tech/hotstandbyjob/internal/pool"
)

// podless is how long a unit may be without pods before the server is asked why: the Job controller needs a moment.
const podless = 5 * time.Second

// consult asks the server whether it would take the Jobs of a new revision and their pods, and asks again while it
// would not, or while pods fail to appear.
func (r *Reconciler) consult(ctx context.Context, s *snapshot) {
	a := &s.memory.admission
	if a.revision != s.view.Revision {
		*a = admission{revision: s.view.Revision}
		if s.pool.Status.CurrentRevision != s.view.Revision {
			r.ask(ctx, s)
			return
		}
	}
	wait := s.withoutPods()
	if wait < 0 && a.trouble.Reason == condition.ReasonPodsRefused {
		*a = admission{revision: a.revision} // all have their pods: there was room after all
	}
	switch {
	case !a.next.IsZero() && !s.view.Now.Before(a.next):
		r.ask(ctx, s)
	case a.next.IsZero() && wait == 0:
		r.ask(ctx, s)
	case a.next.IsZero() && wait > 0:
		a.next = s.view.Now.Add(wait)
	}
}

// withoutPods is how long until a unit has been without pods for too long: 0 means that one has, and less than 0 that
// all have theirs.
func (s *snapshot) withoutPods() time.Duration {
	least, since := time.Duration(-1), map[string]time.Time{}
	for _, u := range s.units {
		if u.Phase != pool.Starting || !u.NoPods || suspended(u.Job) {
			continue
		}
		seen, ok := s.memory.podless[u.Name]
		if !ok {
			seen = s.view.Now
		}
		since[u.Name] = seen
		left := max(0, podless-s.view.Now.Sub(seen))
		if least < 0 || left < least {
			least = left
		}
	}
	s.memory.podless = since
	return least
}

// ask makes a dry run of a unit: of a Job and of its pod, or of a plain pod.
func (r *Reconciler) ask(ctx context.Context, s *snapshot) {
	a := &s.memory.admission
	a.refusal, a.trouble, a.next = condition.Trouble{}, condition.Trouble{}, time.Time{}
	made, err := r.build(s.pool)
	if err != nil {
		a.refusal = impossible(err)
		return // only another spec can help
	}
	made.SetGenerateName(object.NamePrefix(s.pool))
	err = r.Direct.Create(ctx, named(made, ""), client.DryRunAll)
	if job, ok := made.(*batchv1.Job); ok && err == nil {
		err = r.Direct.Create(ctx, object.Pod(job), client.DryRunAll)
	}
	switch {
	case err == nil && s.withoutPods() < 0:
		a.tries = 0
		return
	case err == nil: // they are on their way
	case isQuota(err):
		a.trouble = condition.Trouble{Reason: condition.ReasonPodsRefused, Message: refusalText(err)}
	case refused(err):
		a.refusal = condition.Trouble{Reason: condition.ReasonRefused, Message: refusalText(err)}
	default:
		log.FromContext(ctx).Error(err, "dry run got no answer", "try", a.tries)
	}
	a.again(s.view.Now)
}

// again notes when to ask next: 10 seconds to 5 minutes later, growing.
func (a *admission) again(now time.Time) {
	a.next = now.Add(min(pool.MaxBackoff, pool.MinBackoff<<min(a.tries, 10)))
	a.tries++
}

// refused says whether the server has understood a request and won't carry it out, however often it is repeated.
func refused(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) ||
		apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) || apierrors.IsRequestEntityTooLargeError(err)
}

// isQuota tells a full quota from other refusals: it says nothing against the template, and room may come any time. The
// API server gives no reason of its own for it.
func isQuota(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota")
}

// refusalText is what the server said, without the name that was only tried.
func refusalText(err error) string {
	text := err.Error()
	if status := apierrors.APIStatus(nil); errors.As(err, &status) && status.Status().Details != nil {
		if name := status.Status().Details.Name; name != "" {
			text = strings.ReplaceAll(text, name, "…")
		}
	}
	return text
}

// errUnlaunchable is why no standby pod is made in a cluster where no Job could start in it.
var errUnlaunchable = errors.New("spec.assignment: Push isn't possible here, use Pull: this cluster's Jobs have no spec.managedBy, which launches need (Kubernetes 1.32 or later)")

// impossible is the trouble of a spec of which no unit can be made.
func impossible(err error) condition.Trouble {
	if errors.Is(err, errUnlaunchable) {
		return condition.Trouble{Reason: condition.ReasonUnsupported, Message: err.Error()}
	}
	return condition.Trouble{Reason: condition.ReasonInvalidTemplate, Message: err.Error()}
}

// build is what a new unit of the pool is, without a name: a Job, or a plain pod.
func (r *Reconciler) build(h *v1alpha1.HotStandbyJob) (client.Object, error) {
	switch {
	case push(h) && r.Unlaunchable:
		return nil, errUnlaunchable
	case push(h):
		return object.StandbyPod(h, r.entrypoint())
	case h.Spec.Layout == v1alpha1.LayoutSharedJob:
		return r.sharedJob(h, 1)
	default:
		return object.Job(h, r.entrypoint())
	}
}
