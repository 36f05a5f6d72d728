// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"testing"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/condition"
	"github.com/paia-tech/hotstandbyjob/lab"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// byUnit are a pool's live pods, by the unit of three that they belong to.
func byUnit(e *kit.Env, pool string) map[string][]corev1.Pod {
	e.T.Helper()
	units := map[string][]corev1.Pod{}
	for _, p := range inOrder(e, pool) {
		name := metav1.GetControllerOf(&p).Name
		if e.Get(pool).Spec.Layout == v1alpha1.LayoutSharedJob {
			name += fmt.Sprintf("/%d", indexOf(&p)/3)
		}
		units[name] = append(units[name], p)
	}
	return units
}

// awaitUnits waits until a pool has so many units, each of three pods.
func awaitUnits(e *kit.Env, pool string, n int) map[string][]corev1.Pod {
	e.T.Helper()
	var units map[string][]corev1.Pod
	e.Await("units of three pods", func(g gomega.Gomega) {
		units = byUnit(e, pool)
		g.Expect(units).To(gomega.HaveLen(n))
		for name, pods := range units {
			g.Expect(pods).To(gomega.HaveLen(3), "pods of unit "+name)
		}
	})
	return units
}

// two are two of the units, by name.
func two(units map[string][]corev1.Pod) (first, second []corev1.Pod) {
	for _, pods := range units {
		first, second = pods, first
	}
	return first, second
}

func TestUnitsOfThreePodsAreBusyWithOneAndIdleWithAll(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		e.Operator()
		e.Guard("threes", 4)
		e.Create(kit.Pool("threes").Idle(2).Max(4).Delay(0).Parallelism(3).Layout(layout).Obj())
		e.AwaitStatus("threes", 2, 0)
		unit, other := two(awaitUnits(e, "threes", 2))

		e.Annotate(&unit[1], "true")
		e.AwaitStatus("threes", 2, 1)
		awaitState(e, &unit[1], v1alpha1.PodBusy)
		awaitUnits(e, "threes", 3)
		e.Annotate(&unit[2], "true")
		e.Annotate(&unit[1], "false")
		awaitState(e, &unit[1], v1alpha1.PodIdle)
		e.AwaitStatus("threes", 2, 1) // another one works
		e.Annotate(&other[0], "true")
		e.AwaitStatus("threes", 2, 2)
		awaitUnits(e, "threes", 4)

		e.Annotate(&unit[2], "false")
		e.AwaitStatus("threes", 2, 1) // all are idle again, and one unit is too many
		awaitUnits(e, "threes", 3)
		mustLive(e, "threes", other...)
	})
}

func TestUnitsOfThreePodsAreRetiredWhole(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		e.Operator()
		e.Guard("whole", 5)
		e.Create(kit.Pool("whole").Idle(4).Max(5).Delay(0).Parallelism(3).Layout(layout).Obj())
		e.AwaitStatus("whole", 4, 0)
		busy, _ := two(awaitUnits(e, "whole", 4))
		e.Annotate(&busy[2], "true")
		e.AwaitStatus("whole", 4, 1)
		idleTarget(e, "whole", 1)
		e.AwaitStatus("whole", 1, 1)
		awaitUnits(e, "whole", 2)
		mustLive(e, "whole", busy...)
		idleTarget(e, "whole", 0)
		e.AwaitStatus("whole", 0, 1)
		awaitUnits(e, "whole", 1)
		mustLive(e, "whole", busy...)
	})
}

func TestUnitOfWhichOnePodEndedAndTheRestIsIdleIsRetired(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		e.Operator()
		e.Guard("rest", 3)
		e.Create(kit.Pool("rest").Idle(2).Max(3).Delay(0).Parallelism(3).Layout(layout).Obj())
		e.AwaitStatus("rest", 2, 0)
		worked, other := two(awaitUnits(e, "rest", 2))
		e.Annotate(&worked[0], "true")
		e.Annotate(&worked[1], "true")
		e.AwaitStatus("rest", 2, 1)
		finish(e, &worked[0], 0)
		e.Await("its pod has ended", func(g gomega.Gomega) { g.Expect(e.Pods("rest")).To(gomega.HaveLen(8)) })
		e.AwaitStatus("rest", 2, 1) // one still works
		mustLive(e, "rest", worked[1:]...)
		e.Annotate(&worked[1], "false")
		e.AwaitStatus("rest", 2, 0)
		units := awaitUnits(e, "rest", 2)
		for _, pods := range units {
			for _, p := range pods {
				if p.UID == worked[1].UID || p.UID == worked[2].UID {
					t.Errorf("pod %s is left over of a unit that has worked", p.Name)
				}
			}
		}
		mustLive(e, "rest", other...)
	})
}

// With one of its pods gone for good a unit never will be whole, also where its Job goes on.
func TestUnitOfWhichAnIdlePodFailedIsReplacedWhole(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		e.Operator()
		e.Guard("maimed", 4)
		e.Create(kit.Pool("maimed").Idle(3).Max(4).Delay(0).Parallelism(3).Layout(layout).Obj())
		e.AwaitStatus("maimed", 3, 0)
		maimed, busy := two(awaitUnits(e, "maimed", 3))
		e.Annotate(&busy[0], "true")
		e.AwaitStatus("maimed", 3, 1)
		annotate(e, &maimed[1], lab.ExitAnnotation, "9")
		awaitDegraded(e, "maimed", condition.ReasonUnitsFailing, "exit code 9")
		e.AwaitStatus("maimed", 3, 1)
		for name, pods := range awaitUnits(e, "maimed", 4) {
			for _, p := range pods {
				if uids(maimed)[p.Name] == p.UID {
					t.Errorf("pod %s of unit %s is left over", p.Name, name)
				}
			}
		}
		mustLive(e, "maimed", busy...)
	})
}
