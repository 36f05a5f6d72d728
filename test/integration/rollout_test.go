// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"sync"
	"testing"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/condition"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// warmth watches how many warm pods without work a pool has.
type warmth struct {
	mu    sync.Mutex
	warm  map[types.UID]bool
	least int
}

// watchWarmth begins to watch a pool that is full; the test fails if it ever has fewer warm pods without work than that.
func watchWarmth(e *kit.Env, pool string, least int) {
	e.T.Helper()
	w := &warmth{warm: map[types.UID]bool{}, least: 1 << 30}
	ctx, cancel := context.WithCancel(context.WithoutCancel(e.T.Context()))
	var list corev1.PodList
	options := []client.ListOption{client.InNamespace(e.Namespace), client.MatchingLabels{v1alpha1.LabelName: pool}}
	if err := e.Client.List(ctx, &list, options...); err != nil {
		cancel()
		e.T.Fatalf("list pods: %v", err)
	}
	for i := range list.Items {
		w.see(watch.Modified, &list.Items[i])
	}
	w.least = len(w.warm)
	changes, err := e.Client.Watch(ctx, &corev1.PodList{}, append(options, &client.ListOptions{
		Raw: &metav1.ListOptions{ResourceVersion: list.ResourceVersion},
	})...)
	if err != nil {
		cancel()
		e.T.Fatalf("watch pool %s: %v", pool, err)
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		for event := range changes.ResultChan() {
			if p, ok := event.Object.(*corev1.Pod); ok {
				w.see(event.Type, p)
			}
		}
	})
	e.T.Cleanup(func() {
		changes.Stop()
		cancel()
		wait.Wait()
		if w.least < least {
			e.T.Errorf("pool %s had %d warm pods without work at a time, at least %d were promised", pool, w.least, least)
		}
	})
}

func (w *warmth) see(t watch.EventType, p *corev1.Pod) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ready := false
	for _, c := range p.Status.Conditions {
		ready = ready || c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	}
	delete(w.warm, p.UID)
	if ready && kit.Live(p) && t != watch.Deleted && p.Annotations[v1alpha1.AnnotationBusy] == "" {
		w.warm[p.UID] = true
	}
	w.least = min(w.least, len(w.warm))
}

// version changes a pool's template.
func version(value string) func(*v1alpha1.HotStandbyJobSpec) {
	return func(s *v1alpha1.HotStandbyJobSpec) {
		s.JobTemplate.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "VERSION", Value: value}}
	}
}

// versions counts a pool's live pods by the version of their template.
func versions(e *kit.Env, pool string) map[string]int {
	e.T.Helper()
	count := map[string]int{}
	for _, p := range e.Pods(pool) {
		for _, variable := range p.Spec.Containers[0].Env { // a shared Job's pods have another, for their index
			if variable.Name == "VERSION" {
				count[variable.Value]++
			}
		}
	}
	return count
}

func awaitVersions(e *kit.Env, pool string, want map[string]int) {
	e.T.Helper()
	e.Await("versions of the template", func(g gomega.Gomega) { g.Expect(versions(e, pool)).To(gomega.Equal(want)) })
}

func unavailable(n int) func(*v1alpha1.HotStandbyJobSpec) {
	return func(s *v1alpha1.HotStandbyJobSpec) {
		s.UpdateStrategy.RollingUpdate = &v1alpha1.RollingUpdate{MaxUnavailable: new(intstr.FromInt32(int32(n)))}
	}
}

// Defect 25: template changes didn't reach existing idle Jobs.
func TestRolloutReplacesIdleUnitsAFewAtATimeAndSparesBusyOnes(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		e.Operator()
		e.Guard("rolls", 8)
		e.Create(kit.Pool("rolls").Idle(6).Max(8).Layout(layout).With(version("1")).With(unavailable(2)).Obj())
		e.AwaitStatus("rolls", 6, 0)
		pods := inOrder(e, "rolls")
		e.Annotate(&pods[0], "true")
		e.Annotate(&pods[3], "true")
		e.AwaitStatus("rolls", 6, 2)
		watchWarmth(e, "rolls", 6-2)

		e.Update("rolls", version("2"))
		awaitVersions(e, "rolls", map[string]int{"1": 2, "2": 6})
		e.AwaitStatus("rolls", 6, 2)
		mustLive(e, "rolls", pods[0], pods[3])
		mustStay(e, "rolls")
		finish(e, &pods[0], 0)
		awaitVersions(e, "rolls", map[string]int{"1": 1, "2": 6})

		e.Annotate(&pods[3], "false") // an old one that is idle again is of no use
		awaitVersions(e, "rolls", map[string]int{"2": 6})
		e.AwaitStatus("rolls", 6, 0)
		e.Await("the rollout is over", func(g gomega.Gomega) {
			g.Expect(kit.ConditionStatus(e.Get("rolls"), v1alpha1.ConditionProgressing)).To(gomega.Equal("False"))
		})
	})
}

func TestRolloutOnDeleteReplacesNone(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		e.Operator()
		e.Guard("on-delete", 5)
		e.Create(kit.Pool("on-delete").Idle(3).Layout(layout).With(version("1")).With(func(s *v1alpha1.HotStandbyJobSpec) {
			s.UpdateStrategy.Type = v1alpha1.UpdateOnDelete
		}).Obj())
		e.AwaitStatus("on-delete", 3, 0)
		e.Update("on-delete", version("2"))
		mustStay(e, "on-delete")
		pods := inOrder(e, "on-delete")
		e.Annotate(&pods[0], "true")
		awaitVersions(e, "on-delete", map[string]int{"1": 3, "2": 1})
		if err := e.Client.Delete(t.Context(), &pods[1]); err != nil {
			t.Fatal(err)
		}
		awaitVersions(e, "on-delete", map[string]int{"1": 2, "2": 2})
		e.AwaitStatus("on-delete", 3, 1)
		mustStay(e, "on-delete")
	})
}

// Defect 8: a template that crashes made Jobs without end.
func TestRolloutOfABrokenTemplateStops(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		needNode(e)
		e.Operator()
		e.Guard("broken", 5)
		e.Create(kit.Pool("broken").Real("run").Idle(4).Max(5).Layout(layout).With(version("1")).With(unavailable(1)).Obj())
		e.AwaitStatus("broken", 4, 0)
		watchWarmth(e, "broken", 3)
		command := func(args ...string) func(*v1alpha1.HotStandbyJobSpec) {
			return func(s *v1alpha1.HotStandbyJobSpec) { s.JobTemplate.Template.Spec.Containers[0].Args = args }
		}
		e.Update("broken", func(s *v1alpha1.HotStandbyJobSpec) {
			version("2")(s)
			command("run", "-busy-after=1ms", "-busy-for=1ms", "-exit=3")(s)
		})
		awaitDegraded(e, "broken", condition.ReasonUnitsFailing, "exit code 3")
		passes(e, "broken", 4)
		if got := versions(e, "broken")["1"]; got != 3 {
			t.Errorf("%d units of the old template are left, 3 should be", got)
		}

		e.Update("broken", func(s *v1alpha1.HotStandbyJobSpec) {
			version("3")(s)
			command("run")(s)
		})
		awaitVersions(e, "broken", map[string]int{"3": 4})
		e.AwaitStatus("broken", 4, 0)
	})
}
