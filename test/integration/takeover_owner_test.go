// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"testing"

	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

func TestOrphanedJobsAreAdopted(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		stop := e.Operator()
		history := e.History("orphans")
		pool := kit.Pool("orphans").Idle(3).Layout(layout).Obj()
		e.Create(pool.DeepCopy())
		e.AwaitStatus("orphans", 3, 0)
		pods := e.Pods("orphans")
		if !e.Claim(&pods[0]) {
			t.Fatal("the pod isn't idle any more")
		}
		e.AwaitStatus("orphans", 3, 1)
		stop()
		jobs, before := jobUIDs(e.Jobs("orphans")), podUIDs(e.Pods("orphans"))

		old := e.Get("orphans")
		if err := e.Client.Delete(t.Context(), old, client.PropagationPolicy(metav1.DeletePropagationOrphan)); err != nil {
			t.Fatal(err)
		}
		e.Await("the Jobs have no owner", func(g gomega.Gomega) {
			for _, job := range e.Jobs("orphans") {
				g.Expect(job.OwnerReferences).To(gomega.BeEmpty())
			}
		})
		e.Await("the pool is gone", func(g gomega.Gomega) {
			err := e.Client.Get(t.Context(), client.ObjectKeyFromObject(old), old)
			g.Expect(apierrors.IsNotFound(err)).To(gomega.BeTrue(), "%v", err)
		})
		e.Operator()
		e.Create(pool)
		e.AwaitStatus("orphans", 3, 1)
		g := gomega.NewWithT(t)
		g.Expect(jobUIDs(e.Jobs("orphans"))).To(gomega.Equal(jobs), "Jobs before and after")
		g.Expect(podUIDs(e.Pods("orphans"))).To(gomega.Equal(before), "pods before and after")
		for _, job := range e.Jobs("orphans") {
			g.Expect(metav1.IsControlledBy(&job, e.Get("orphans"))).To(gomega.BeTrue(), job.Name)
		}
		expectExactly(t, history, 4, jobsFor(layout, 4))
	})
}

// Defect 22: the Python operators told by labels alone what was theirs.
func TestWhatIsNotThePoolsIsLeftAlone(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		owner := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "somebody"}}
		e.Create(owner)
		ours := kit.Pool("mine").Idle(2).Layout(layout).Obj()
		label := map[string]string{v1alpha1.LabelName: "mine", "app": "game-worker"}
		theirs := pythonJob(ours, "mine-w-other", 1, label)
		theirs.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID, Controller: new(true),
		}}
		e.Create(theirs)
		lone := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "lone", Labels: label, Annotations: map[string]string{v1alpha1.AnnotationBusy: "true"}},
			Spec:       *ours.Spec.JobTemplate.Template.Spec.DeepCopy(),
		}
		e.Create(lone)
		e.Await("they run", func(g gomega.Gomega) { g.Expect(running(e, "mine")).To(gomega.Equal(2)) })

		e.Operator()
		e.Create(ours)
		e.AwaitStatus("mine", 2, 0)
		e.Update("mine", func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 0 })
		e.AwaitStatus("mine", 0, 0)
		e.Await("what is not the pool's is all that is left", func(g gomega.Gomega) {
			g.Expect(jobUIDs(e.Jobs("mine"))).To(gomega.Equal([]types.UID{theirs.UID}))
			g.Expect(e.Pods("mine")).To(gomega.HaveLen(2))
		})
		for _, p := range e.Pods("mine") {
			if state, ok := p.Labels[v1alpha1.LabelState]; ok {
				t.Errorf("pod %s was labelled %s", p.Name, state)
			}
		}
		job := &batchv1.Job{}
		if err := e.Client.Get(t.Context(), client.ObjectKeyFromObject(theirs), job); err != nil || len(job.OwnerReferences) != 1 {
			t.Errorf("the other Job's owners are %v (%v)", job.OwnerReferences, err)
		}
	})
}

// Defect 22: both counted each other's busy pods, and made units for them.
func TestPoolsOfTheSameSelectorDoNotCountEachOthersPods(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		e.Operator()
		same := func(s *v1alpha1.HotStandbyJobSpec) {
			s.Selector = &v1alpha1.Selector{MatchLabels: map[string]string{"app": "game-worker"}}
		}
		for _, name := range []string{"one", "two"} {
			e.Guard(name, 5)
			e.Create(kit.Pool(name).Idle(3).Layout(layout).With(same).Obj())
			e.AwaitStatus(name, 3, 0)
		}
		for _, p := range e.Pods("one")[:2] {
			e.Annotate(&p, "true")
		}
		e.AwaitStatus("one", 3, 2)
		e.AwaitStatus("two", 3, 0)
		if pods := e.Pods("two"); len(pods) != 3 || pods[0].Labels["app"] != "game-worker" {
			t.Errorf("pool two has %d pods, labelled %v; want 3 with the selector's label", len(pods), pods[0].Labels)
		}
	})
}

// Defect 22: a pool that was made again took the dying Jobs of the one before for its own.
func TestAPoolMadeAgainHasUnitsOfItsOwn(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		e.Operator()
		pool := kit.Pool("again").Idle(3).Layout(layout).Obj()
		e.Create(pool.DeepCopy())
		e.AwaitStatus("again", 3, 0)
		first := e.Get("again")
		e.Delete(&v1alpha1.HotStandbyJob{}, "again")
		e.Create(pool)
		e.AwaitStatus("again", 3, 0)
		second := e.Get("again")
		e.Await("only its own are left", func(g gomega.Gomega) {
			for _, job := range e.Jobs("again") {
				g.Expect(metav1.IsControlledBy(&job, second)).To(gomega.BeTrue())
			}
			g.Expect(e.Pods("again")).To(gomega.HaveLen(3))
		})
		if first.UID == second.UID {
			t.Error("it is the same pool")
		}
	})
}
