// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

func TestAnnotationIsTrueInAnyLetterCaseAndNothingElseIsBusy(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		e.Operator()
		e.Guard("cases", 20)
		e.Create(kit.Pool("cases").Idle(6).Max(20).Delay(0).Layout(layout).Obj())
		e.AwaitStatus("cases", 6, 0)
		pods := inOrder(e, "cases")
		for i, value := range []string{"false", " true ", "1", "yes"} {
			annotate(e, &pods[i], v1alpha1.AnnotationBusy, value)
		}
		annotate(e, &pods[4], v1alpha1.AnnotationBusy, "TRUE")
		annotate(e, &pods[5], v1alpha1.AnnotationBusy, "tRuE")
		e.AwaitStatus("cases", 6, 2)
		awaitPods(e, "cases", 8)

		// A pod may be idle again: one too many, then.
		annotate(e, &pods[4], v1alpha1.AnnotationBusy, "false")
		e.AwaitStatus("cases", 6, 1)
		awaitPods(e, "cases", 7)
		mustLive(e, "cases", pods[5])
	})
}

// A worker on the real node says so itself, with the rights that its namespace gives it.
func TestAnnotationThatAWorkerSetsItself(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		needNode(e)
		e.Operator()
		e.Create(&rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Name: "annotate"},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"patch"}}},
		})
		e.Create(&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "annotate"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "annotate"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "default", Namespace: e.Namespace}},
		})
		e.Guard("itself", 4)
		e.Create(kit.Pool("itself").Real("run", "-busy-by=annotation").Idle(2).Max(4).Layout(layout).With(ownName).Obj())
		e.AwaitStatus("itself", 2, 0)
		pods := inOrder(e, "itself")
		tell(e, &pods[1], "/busy")
		e.AwaitStatus("itself", 2, 1)
		tell(e, &pods[1], "/exit?code=0")
		e.AwaitStatus("itself", 2, 0)
	})
}

// ownName tells the container which pod it runs in: the host name of an Indexed Job's pod is another.
func ownName(s *v1alpha1.HotStandbyJobSpec) {
	c := &s.JobTemplate.Template.Spec.Containers[0]
	c.Env = append(c.Env, corev1.EnvVar{Name: "POD_NAME", ValueFrom: &corev1.EnvVarSource{
		FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"},
	}})
}

func TestAnnotationKeyCanBeChosen(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		e.Operator()
		e.Create(kit.Pool("key").Idle(3).Layout(layout).
			Probe(v1alpha1.BusyProbe{Mode: v1alpha1.BusyByAnnotation, AnnotationKey: "example.com/in-match"}).Obj())
		e.AwaitStatus("key", 3, 0)
		pods := inOrder(e, "key")
		annotate(e, &pods[0], v1alpha1.AnnotationBusy, "true") // not this pool's key
		annotate(e, &pods[1], "example.com/in-match", "True")
		e.AwaitStatus("key", 3, 1)
		awaitState(e, &pods[1], v1alpha1.PodBusy)
		awaitState(e, &pods[0], v1alpha1.PodIdle)
	})
}

func TestEmptyAnnotationKeyIsTheDefault(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		e.Operator()
		object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(kit.Pool("empty-key").Idle(2).Layout(layout).Obj())
		if err != nil {
			t.Fatal(err)
		}
		u := &unstructured.Unstructured{Object: object}
		u.SetGroupVersionKind(v1alpha1.SchemeGroupVersion.WithKind("HotStandbyJob"))
		// The typed object leaves an empty key out.
		if err := unstructured.SetNestedField(u.Object, "", "spec", "busyProbe", "annotationKey"); err != nil {
			t.Fatal(err)
		}
		unstructured.RemoveNestedField(u.Object, "status")
		e.Create(u)
		e.AwaitStatus("empty-key", 2, 0)
		e.Annotate(&e.Pods("empty-key")[0], "true")
		e.AwaitStatus("empty-key", 2, 1)
	})
}

// Defect 22: pods were counted by their labels, so that two pools with the same labels counted each other's.
func TestPoolsWithTheSameLabelsDontCountEachOthersPods(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		e.Operator()
		label := func(s *v1alpha1.HotStandbyJobSpec) {
			s.Selector = &v1alpha1.Selector{MatchLabels: map[string]string{"app": "game-worker"}}
		}
		for _, name := range []string{"one", "two"} {
			e.Guard(name, 4)
			e.Create(kit.Pool(name).Idle(2).Layout(layout).With(label).Obj())
		}
		e.AwaitStatus("one", 2, 0)
		e.AwaitStatus("two", 2, 0)
		pods := e.Pods("one")
		e.Annotate(&pods[0], "true")
		e.Annotate(&pods[1], "true")
		e.AwaitStatus("one", 2, 2)
		passes(e, "two", 2)
		e.AwaitStatus("two", 2, 0)
		awaitPods(e, "two", 2)
	})
}

// Defect 15: a pod that had just succeeded was counted as busy.
func TestFinishedPodsAreNotBusy(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		e.Operator()
		e.Guard("finished", 5)
		e.Create(kit.Pool("finished").Idle(2).Max(5).Layout(layout).Obj())
		e.AwaitStatus("finished", 2, 0)
		pods := e.Pods("finished")
		for i := range pods {
			e.Annotate(&pods[i], "true")
		}
		e.AwaitStatus("finished", 2, 2)
		for i, code := range []int{0, 1} { // work that fails is no failure of the pool
			finish(e, &pods[i], code)
		}
		e.AwaitStatus("finished", 2, 0)
		awaitPods(e, "finished", 2)
		if h := e.Get("finished"); h.Status.ConsecutiveFailures != 0 || kit.ConditionStatus(h, v1alpha1.ConditionDegraded) != "False" {
			t.Errorf("work that fails is counted as a failure of the pool: %+v", h.Status)
		}
	})
}
