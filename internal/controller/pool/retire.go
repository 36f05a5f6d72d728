// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/object"
	"github.com/paia-tech/hotstandbyjob/internal/pool"
	"github.com/paia-tech/hotstandbyjob/internal/probe"
	"github.com/paia-tech/hotstandbyjob/internal/signal"
	"github.com/paia-tech/hotstandbyjob/internal/unit"
)

// retire deletes idle units, and none that turns busy meanwhile. Each step is a request that the server carries out
// only if the pod is still as it was seen:
//
//  1. the fence: the state label becomes retiring, so that nobody gives the pod work any more;
//  2. a last look at pods that have to be asked;
//  3. the pod is deleted;
//  4. its Job is deleted, or the shared Job's tail cut off; a plain pod has none.
//
// A unit that drops out on the way is as it was, but for its label, which the next pass puts right. One whose pods were
// deleted in part can't be: its Job fails. So a change that says nothing about work, as the kubelet writes them at any
// time, is no reason to drop out.
func (r *Reconciler) retire(ctx context.Context, s *snapshot, units []unit.Unit) error {
	var (
		errs []error
		gone []unit.Unit
	)
	results := make([]bool, len(units))
	faults := make([]error, len(units))
	slowStart(len(units), func(i int) error {
		results[i], faults[i] = r.retirePods(ctx, s, units[i])
		return faults[i]
	})
	for i, u := range units {
		errs = append(errs, faults[i])
		if results[i] {
			gone = append(gone, u)
		}
	}
	for _, u := range gone {
		if u.Job != nil && !shared(u.Job) {
			errs = append(errs, r.deleteJob(ctx, u.Job))
		}
	}
	errs = append(errs, r.cut(ctx, s, gone))
	// Those without pods, of a shared Job, were counted when these went.
	gone = slices.DeleteFunc(gone, func(u unit.Unit) bool { return shared(u.Job) && len(u.Pods) == 0 })
	if len(gone) > 0 {
		r.event(s.pool, corev1.EventTypeNormal, ReasonUnitsRetired, "Retire", "retired "+s.whyGone(gone))
		log.FromContext(ctx).Info("retired units", "count", len(gone))
	}
	return errors.Join(errs...)
}

// whyGone counts retired units by why they went.
func (s *snapshot) whyGone(units []unit.Unit) string {
	count := map[string]int{}
	for _, u := range units {
		count[s.state.Why(u.Unit)]++
	}
	var texts []string
	for _, why := range slices.Sorted(maps.Keys(count)) {
		texts = append(texts, fmt.Sprintf("%d units: %s", count[why], why))
	}
	return strings.Join(texts, "; ")
}

// retirePods takes a unit's pods away, and says whether all are gone.
func (r *Reconciler) retirePods(ctx context.Context, s *snapshot, u unit.Unit) (bool, error) {
	var fenced []*corev1.Pod
	for _, p := range u.Pods {
		if ended(p) {
			continue
		}
		patch := object.FencePatch(p.ResourceVersion)
		if u.Job == nil {
			patch = object.LabelPatch(p, v1alpha1.PodRetiring)
		}
		pod, err := r.fence(ctx, p, patch)
		if pod == nil {
			return false, err
		}
		fenced = append(fenced, pod)
	}
	if !r.stillIdle(ctx, s, u, fenced) {
		return false, nil
	}
	for _, p := range fenced {
		if ok, err := r.deletePod(ctx, u.Job, p); !ok {
			return false, err
		}
	}
	return true, nil
}

func ended(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// fence labels a pod as retiring if it is as it was seen, and returns it as it then is; nil if it has changed.
func (r *Reconciler) fence(ctx context.Context, p *corev1.Pod, patch []byte) (*corev1.Pod, error) {
	pod := p.DeepCopy()
	if p.Labels[v1alpha1.LabelState] == string(v1alpha1.PodRetiring) {
		return pod, nil
	}
	err := r.Client.Patch(ctx, pod, client.RawPatch(types.JSONPatchType, patch))
	switch {
	case err == nil:
		return pod, nil
	case apierrors.IsInvalid(err), apierrors.IsConflict(err), apierrors.IsNotFound(err):
		log.FromContext(ctx).V(1).Info("pod changed before it could be retired", "pod", p.Name)
		return nil, nil
	default:
		return nil, fmt.Errorf("fence pod %s: %w", p.Name, err)
	}
}

// lastLook bounds the last look at the pods of a unit: what hasn't answered by then may be busy.
const lastLook = 5 * time.Second

// stillIdle looks once more at pods that have to be asked.
func (r *Reconciler) stillIdle(ctx context.Context, s *snapshot, u unit.Unit, pods []*corev1.Pod) bool {
	if s.pool.Spec.BusyProbe.Mode == v1alpha1.BusyByReport {
		return r.reportIdle(s.name, u, pods)
	}
	asked := s.targets(func(p *corev1.Pod) bool {
		return unit.Ready(p) && slices.ContainsFunc(pods, func(f *corev1.Pod) bool { return f.UID == p.UID })
	})
	if len(asked) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, lastLook)
	defer cancel()
	readings := r.Prober.Recheck(ctx, s.name, asked)
	return !slices.ContainsFunc(asked, func(t probe.Target) bool {
		now := readings[t.UID].Signal
		// One that was idle and says that it is starting, or has lost its entry, may be busy.
		return now != signal.Idle && (now != signal.Starting || u.Phase != pool.Starting)
	})
}

// maxLooks is how often a pod is looked at anew that has changed since it was fenced.
const maxLooks = 5

// deletePod deletes a fenced pod if nothing has changed since that may mean work, and says whether it did.
func (r *Reconciler) deletePod(ctx context.Context, job *batchv1.Job, fenced *corev1.Pod) (bool, error) {
	p := fenced
	for range maxLooks {
		if ok, err := r.deleteUnchanged(ctx, job, p); ok || err != nil {
			return ok, err
		}
		now := &corev1.Pod{}
		err := r.Reader.Get(ctx, client.ObjectKeyFromObject(p), now)
		switch {
		case apierrors.IsNotFound(err):
			return !shared(job), nil // of a shared Job it counts as a failure, not as retired
		case err != nil:
			return false, fmt.Errorf("read pod %s: %w", p.Name, err)
		case !unit.SaysTheSame(fenced, now):
			return false, nil
		}
		p = now
	}
	return false, nil
}

// deleteUnchanged deletes a pod if it is exactly as it was seen, and says whether it did.
func (r *Reconciler) deleteUnchanged(ctx context.Context, job *batchv1.Job, p *corev1.Pod) (bool, error) {
	if shared(job) {
		// Without this its index would count as one more failure, and be started again.
		patch := client.RawPatch(types.StrategicMergePatchType, object.RetiredPatch(p.ResourceVersion, r.Clock.Now()))
		if err := r.Client.Status().Patch(ctx, p, patch); err != nil {
			return false, ignoreChanged(err)
		}
	}
	err := r.Client.Delete(ctx, p, client.Preconditions{UID: &p.UID, ResourceVersion: &p.ResourceVersion})
	switch {
	case err == nil, apierrors.IsNotFound(err):
		return true, nil
	case apierrors.IsConflict(err):
		return false, nil
	default:
		return false, fmt.Errorf("delete pod %s: %w", p.Name, err)
	}
}

func ignoreChanged(err error) error {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) || apierrors.IsInvalid(err) {
		return nil
	}
	return err
}

// label writes the state of pods where it has changed, and whether they may be moved. Units that are being retired keep
// their fence.
func (r *Reconciler) label(ctx context.Context, s *snapshot, retiring []string) error {
	fenced := sets.New(retiring...)
	var todo []unit.Label
	for _, u := range s.units {
		if !fenced.Has(u.Name) {
			todo = append(todo, u.Labels...)
		}
	}
	errs := make([]error, len(todo))
	slowStart(len(todo), func(i int) error {
		err := r.Client.Patch(ctx, todo[i].Pod.DeepCopy(), s.labelPatch(todo[i]))
		if ignoreChanged(err) != nil {
			errs[i] = fmt.Errorf("label pod %s: %w", todo[i].Pod.Name, err)
		}
		return errs[i]
	})
	return errors.Join(errs...)
}

// labelPatch writes a label. On a pod that may be claimed meanwhile only if it wasn't: the claim is undone by nobody.
func (s *snapshot) labelPatch(l unit.Label) client.Patch {
	if push(s.pool) {
		return client.RawPatch(types.JSONPatchType, object.LabelPatch(l.Pod, l.State))
	}
	return client.RawPatch(types.MergePatchType, object.StatePatch(l.Pod.UID, l.State, l.Movable, object.ManagesEviction(s.pool)))
}
