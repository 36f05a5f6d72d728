// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"
	"testing"

	"github.com/onsi/gomega"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// kubectlOf runs kubectl in a namespace that an operator serves.
func kubectlOf(t *testing.T, e *kit.Env) func(args ...string) string {
	t.Helper()
	s := server{lab: e.Lab, namespace: e.Namespace, dir: t.TempDir()}
	return func(args ...string) string {
		t.Helper()
		out, err := s.kubectl(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

func TestKubectlWaitsScalesAndDescribes(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		kubectl := kubectlOf(t, e)
		e.Operator()
		e.Create(kit.Pool("x").Idle(2).Layout(layout).Obj())
		kubectl("wait", "--for=condition=Ready", "hsj/x", "--timeout=50s")
		e.AwaitStatus("x", 2, 0)

		kubectl("scale", "hsj", "x", "--replicas=3")
		e.AwaitStatus("x", 3, 0)
		kubectl("wait", "--for=jsonpath={.status.idleCount}=3", "hsj/x", "--timeout=50s")
		kubectl("scale", "hsj", "x", "--replicas=1", "--current-replicas=3")
		e.AwaitStatus("x", 1, 0)

		e.Await("describe shows what happened", func(g gomega.Gomega) {
			text := kubectl("describe", "hsj", "x")
			for _, word := range []string{"Idle Target:", "Idle Count:", "Ready", "IdleTargetMet", "Events:", "UnitsCreated", "UnitsRetired", "retired"} {
				g.Expect(text).To(gomega.ContainSubstring(word))
			}
		})
		// Its pods are found by the selector that autoscalers read.
		selector := e.Get("x").Status.Selector
		if names := strings.Fields(kubectl("get", "pods", "--selector", selector, "--output", "name")); len(names) == 0 {
			t.Errorf("the selector %q finds no pods", selector)
		}
	})
}

// A HorizontalPodAutoscaler reads and writes the scale subresource, and nothing else.
func TestAutoscalersDriveTheIdleTarget(t *testing.T) {
	t.Parallel()
	e := kit.New(t)
	e.Operator()
	e.Guard("x", 4)
	e.Create(kit.Pool("x").Idle(1).Max(4).Obj())
	e.AwaitStatus("x", 1, 0)
	for _, replicas := range []int32{4, 2, 0} {
		scale := &autoscalingv1.Scale{}
		if err := e.Client.SubResource("scale").Get(t.Context(), e.Get("x"), scale); err != nil {
			t.Fatal(err)
		}
		scale.Spec.Replicas = replicas
		if err := e.Client.SubResource("scale").Update(t.Context(), e.Get("x"), client.WithSubResourceBody(scale)); err != nil {
			t.Fatal(err)
		}
		e.AwaitStatus("x", int(replicas), 0)
		e.Await("the scale tells how many are idle", func(g gomega.Gomega) {
			g.Expect(e.Client.SubResource("scale").Get(t.Context(), e.Get("x"), scale)).To(gomega.Succeed())
			g.Expect([]int32{scale.Spec.Replicas, scale.Status.Replicas}).To(gomega.Equal([]int32{replicas, replicas}))
			g.Expect(scale.Status.Selector).To(gomega.Equal("hsj.paia.tech/name=x"))
		})
	}
}
