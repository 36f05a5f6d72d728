// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"testing"

	"github.com/onsi/gomega"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

var layouts = []v1alpha1.Layout{v1alpha1.LayoutJobPerUnit, v1alpha1.LayoutSharedJob}

// forLayouts runs a test in both layouts: they behave alike.
func forLayouts(t *testing.T, test func(t *testing.T, layout v1alpha1.Layout)) {
	t.Helper()
	t.Parallel()
	for _, layout := range layouts {
		t.Run(string(layout), func(t *testing.T) {
			t.Parallel()
			test(t, layout)
		})
	}
}

func TestPoolFillsAndReplacesBusyUnits(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		e.Operator()
		e.Guard("fills", 8)
		e.Create(kit.Pool("fills").Idle(5).Max(8).Layout(layout).Obj())
		e.AwaitStatus("fills", 5, 0)

		pods := e.Pods("fills")
		for i := range 2 {
			e.Annotate(&pods[i], "TRUE") // any letter case
		}
		e.AwaitStatus("fills", 5, 2)

		for i := 2; i < 5; i++ {
			e.Annotate(&pods[i], "true")
		}
		e.AwaitStatus("fills", 3, 5) // maxReplicas
		e.Await("it says that it is at capacity", func(g gomega.Gomega) {
			g.Expect(kit.ConditionStatus(e.Get("fills"), v1alpha1.ConditionAtCapacity)).To(gomega.Equal("True"))
		})
	})
}

func TestScaleDownSparesBusyUnits(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		e.Operator()
		e.Guard("shrinks", 25)
		e.Create(kit.Pool("shrinks").Idle(20).Layout(layout).Obj())
		e.AwaitStatus("shrinks", 20, 0)
		pods := e.Pods("shrinks")
		busy := map[string]bool{}
		for i := 0; i < 20; i += 4 {
			e.Annotate(&pods[i], "true")
			busy[pods[i].Name] = true
		}
		e.AwaitStatus("shrinks", 20, 5)
		e.Update("shrinks", func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 2 })
		e.AwaitStatus("shrinks", 2, 5)
		e.Await("seven pods are left", func(g gomega.Gomega) { g.Expect(e.Pods("shrinks")).To(gomega.HaveLen(7)) })
		for _, p := range e.Pods("shrinks") {
			delete(busy, p.Name)
		}
		if len(busy) > 0 {
			t.Errorf("busy pods are gone: %v", busy)
		}
	})
}
