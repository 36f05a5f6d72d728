// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/condition"
	"github.com/paia-tech/hotstandbyjob/internal/object"
	"github.com/paia-tech/hotstandbyjob/internal/pool"
	"github.com/paia-tech/hotstandbyjob/internal/unit"
)

// act carries a plan out and reports: what is missing first, since somebody may be waiting for it, then the rest side by
// side, since the next pass waits for all of it.
func (r *Reconciler) act(ctx context.Context, s *snapshot, plan pool.Plan) error {
	errs := []error{r.create(ctx, s, plan.Create)}
	steps := []func() error{
		func() error { return r.remove(ctx, s.those(plan.Remove)) },
		func() error { return r.retire(ctx, s, s.those(plan.Retire)) },
		func() error { return r.label(ctx, s, plan.Retire) },
		func() error { return r.report(ctx, s, plan) },
	}
	results := make([]error, len(steps))
	var wait sync.WaitGroup
	for i, step := range steps {
		wait.Go(func() { results[i] = step() })
	}
	wait.Wait()
	return errors.Join(append(errs, results...)...)
}

// those are the units of these names.
func (s *snapshot) those(names []string) []unit.Unit {
	wanted := sets.New(names...)
	var units []unit.Unit
	for _, u := range s.units {
		if wanted.Has(u.Name) {
			units = append(units, u)
		}
	}
	return units
}

// mostPerPass bounds what is made in one pass: the next sees what became of it.
const mostPerPass = 500

// create makes so many units.
func (r *Reconciler) create(ctx context.Context, s *snapshot, n int) error {
	a := &s.memory.admission
	if !s.noteCertified(n == 0 || r.certified(s.pool)) {
		return nil // looked at again soon
	}
	if n == 0 || s.view.Now.Before(a.next) && a.trouble.Reason == condition.ReasonRefused {
		return nil
	}
	n = min(n, mostPerPass)
	made, err := 0, error(nil)
	if s.pool.Spec.Layout == v1alpha1.LayoutSharedJob && !push(s.pool) {
		made, err = r.grow(ctx, s, n)
	} else {
		made, err = r.createUnits(ctx, s, n)
	}
	if made > 0 {
		r.event(anyVersion(s.pool), corev1.EventTypeNormal, ReasonUnitsCreated, "Create", fmt.Sprintf("created %d units", made))
		log.FromContext(ctx).Info("created units", "count", made)
	}
	if err == nil {
		return nil
	}
	if refused(err) {
		a.trouble = condition.Trouble{Reason: condition.ReasonRefused, Message: refusalText(err)}
		a.again(s.view.Now)
		return nil // asked again then; the condition says so
	}
	return fmt.Errorf("create units: %w", err)
}

// createUnits makes a Job, or a plain pod, for each of n units, in parallel but slowly at first, so that a server that
// refuses them is asked once and not n times.
func (r *Reconciler) createUnits(ctx context.Context, s *snapshot, n int) (made int, err error) {
	template, err := r.build(s.pool)
	if err != nil {
		// The server wasn't asked about a revision that it once took, and the operator has been started differently since.
		s.memory.admission.refusal = impossible(err)
		return 0, nil
	}
	names := r.names(s, n)
	results, began := make([]error, len(names)), make([]time.Time, len(names))
	done := slowStart(len(names), func(i int) error {
		began[i] = r.Clock.Now()
		names[i], results[i] = r.createAs(ctx, s, template, names[i])
		return firstReal(results[i : i+1])
	})
	for i := range done {
		if results[i] == nil {
			made++
			s.memory.lead.made(names[i], began[i])
			continue
		}
		// Also where it was refused: a Job of an earlier attempt may still show up.
		s.memory.unsure = append(s.memory.unsure, names[i])
	}
	s.memory.unsure = append(s.memory.unsure, names[done:]...) // some of them were attempted in an earlier pass
	return made, firstReal(results[:done])
}

// createAs makes a Job or pod under a name, or under another one where that is taken by what isn't a unit to come, and
// returns the name.
func (r *Reconciler) createAs(ctx context.Context, s *snapshot, template client.Object, name string) (string, error) {
	o := named(template, name)
	err := r.Client.Create(ctx, o)
	if apierrors.IsAlreadyExists(err) && !r.toCome(ctx, s, named(template, name)) {
		o = named(template, object.NamePrefix(s.pool)+r.Suffix())
		err = r.Client.Create(ctx, o)
	}
	return o.GetName(), err
}

// named is a copy of an object under a name.
func named(template client.Object, name string) client.Object {
	o, _ := template.DeepCopyObject().(client.Object)
	o.SetName(name)
	return o
}

// toCome says whether a Job or pod exists that the pool has made and doesn't see yet. Its arrival starts another pass; one
// that never arrives would keep the name, and a unit's place, for ever.
func (r *Reconciler) toCome(ctx context.Context, s *snapshot, o client.Object) bool {
	if s.has(o.GetName()) {
		return false
	}
	if err := r.Reader.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
		return !apierrors.IsNotFound(err)
	}
	return metav1.IsControlledBy(o, s.pool)
}

// has says whether the pool has a Job, or a plain pod, of that name.
func (s *snapshot) has(name string) bool {
	return slices.ContainsFunc(s.jobs, func(j *batchv1.Job) bool { return j.Name == name }) ||
		slices.ContainsFunc(s.pods[s.pool.UID], func(p *corev1.Pod) bool { return p.Name == name })
}

// names are the names for n new Jobs or pods, beginning with those that got no clear answer before and have not been seen since.
func (r *Reconciler) names(s *snapshot, n int) []string {
	unseen := slices.DeleteFunc(slices.Clone(s.memory.unsure), s.has)
	names := unseen[:min(n, len(unseen))]
	s.memory.unsure = slices.Clone(unseen[len(names):])
	for len(names) < n {
		names = append(names, object.NamePrefix(s.pool)+r.Suffix())
	}
	return names
}

// firstReal is the first error that isn't a name that was taken: that one is looked at again when it shows up.
func firstReal(errs []error) error {
	for _, err := range errs {
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return nil
}

// remove deletes units that ended, or that can't work.
func (r *Reconciler) remove(ctx context.Context, units []unit.Unit) error {
	var errs []error
	for _, u := range units {
		if u.Job == nil || shared(u.Job) && unit.Finished(u.Job) == nil {
			for _, p := range u.Pods {
				errs = append(errs, r.removePod(ctx, u, p))
			}
			continue
		}
		errs = append(errs, r.deleteJob(ctx, u.Job))
	}
	return errors.Join(errs...)
}

// removePod deletes a pod of a unit that can't work. The unit goes on if a pod of it has turned busy, and what failed is
// kept to look at for as long as its history says.
func (r *Reconciler) removePod(ctx context.Context, u unit.Unit, p *corev1.Pod) error {
	if !ended(p) {
		return r.delete(ctx, p, client.Preconditions{UID: &p.UID, ResourceVersion: &p.ResourceVersion})
	}
	if u.Ended.IsZero() {
		return nil
	}
	return r.delete(ctx, p, client.Preconditions{UID: &p.UID})
}

// deleteJob deletes a Job and, after it, its pods.
func (r *Reconciler) deleteJob(ctx context.Context, job *batchv1.Job) error {
	return r.delete(ctx, job, client.Preconditions{UID: &job.UID}, client.PropagationPolicy(metav1.DeletePropagationBackground))
}

// delete deletes what is still as it was seen. What has changed since is looked at again: that is no error.
func (r *Reconciler) delete(ctx context.Context, o client.Object, options ...client.DeleteOption) error {
	err := r.Client.Delete(ctx, o, options...)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete %T %s: %w", o, o.GetName(), err)
	}
	return nil
}
