// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"testing"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/condition"
	"github.com/paia-tech/hotstandbyjob/lab"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// ownNodes makes simulated nodes that only the test's own pods go to, as evenly as can be: what happens to them concerns
// no other test. They are gone when the test ends.
func ownNodes(e *kit.Env, n int) (names []string, place func(*v1alpha1.HotStandbyJobSpec)) {
	e.T.Helper()
	const mark = "hsj.paia.tech/test"
	key, value := kwokLabel()
	room := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("64"), corev1.ResourceMemory: resource.MustParse("64Gi"), corev1.ResourcePods: resource.MustParse("200"),
	}
	for i := range n {
		name := fmt.Sprintf("%s-%d", e.Namespace, i)
		node := &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name, mark: e.Namespace, key: value}},
			Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: mark, Value: e.Namespace, Effect: corev1.TaintEffectNoSchedule}}},
			Status:     corev1.NodeStatus{Capacity: room, Allocatable: room},
		}
		if err := e.Client.Create(e.T.Context(), node); err != nil {
			e.T.Fatalf("create node %s: %v", node.Name, err)
		}
		e.T.Cleanup(func() { _ = e.Client.Delete(afterwards(e), node) })
		names = append(names, node.Name)
	}
	return names, func(s *v1alpha1.HotStandbyJobSpec) {
		spec := &s.JobTemplate.Template.Spec
		spec.NodeSelector = map[string]string{mark: e.Namespace}
		spec.Tolerations = append(spec.Tolerations, corev1.Toleration{
			Key: mark, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule,
		})
		spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.DoNotSchedule,
			LabelSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
				{Key: v1alpha1.LabelName, Operator: metav1.LabelSelectorOpExists},
			}},
		}}
	}
}

// on are the pods on a node.
func on(pods []corev1.Pod, node string) (there []corev1.Pod) {
	for _, p := range pods {
		if p.Spec.NodeName == node {
			there = append(there, p)
		}
	}
	return there
}

// patchNode changes a node, or its status.
func patchNode(e *kit.Env, node, patch string, status bool) {
	e.T.Helper()
	o := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}
	p := client.RawPatch(types.StrategicMergePatchType, []byte(patch))
	err := error(nil)
	if status {
		err = e.Client.Status().Patch(e.T.Context(), o, p)
	} else {
		err = e.Client.Patch(e.T.Context(), o, p)
	}
	if err != nil {
		e.T.Fatalf("change node %s: %v", node, err)
	}
}

func TestStateLabelsAndEvictionAnnotationsFollowThePod(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		e.Operator()
		e.Create(kit.Pool("follows").Idle(2).Layout(layout).Obj())
		e.AwaitStatus("follows", 2, 0)
		pod := inOrder(e, "follows")[0]
		follow := func(state v1alpha1.PodState, safeToEvict, doNotDisrupt string) {
			t.Helper()
			e.Await("labels and annotations of a pod that is "+string(state), func(g gomega.Gomega) {
				g.Expect(e.Client.Get(t.Context(), client.ObjectKeyFromObject(&pod), &pod)).To(gomega.Succeed())
				g.Expect(pod.Labels).To(gomega.HaveKeyWithValue(v1alpha1.LabelState, string(state)))
				g.Expect(pod.Annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"]).To(gomega.Equal(safeToEvict))
				g.Expect(pod.Annotations["karpenter.sh/do-not-disrupt"]).To(gomega.Equal(doNotDisrupt))
			})
		}
		follow(v1alpha1.PodIdle, "true", "")
		e.Annotate(&pod, "true")
		follow(v1alpha1.PodBusy, "false", "true")
		e.Annotate(&pod, "false")
		follow(v1alpha1.PodIdle, "true", "")
	})
}

func TestEvictionAnnotationsOfTheTemplateAreLeftAlone(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		e.Operator()
		e.Create(kit.Pool("own").Idle(1).Layout(layout).With(func(s *v1alpha1.HotStandbyJobSpec) {
			s.JobTemplate.Template.Annotations = map[string]string{"karpenter.sh/do-not-disrupt": "true"}
		}).Obj())
		e.AwaitStatus("own", 1, 0)
		pod := e.Pods("own")[0]
		for _, state := range []v1alpha1.PodState{v1alpha1.PodIdle, v1alpha1.PodBusy, v1alpha1.PodIdle} {
			e.Annotate(&pod, map[v1alpha1.PodState]string{v1alpha1.PodBusy: "true"}[state])
			awaitState(e, &pod, state)
			if _, ok := pod.Annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"]; ok || pod.Annotations["karpenter.sh/do-not-disrupt"] != "true" {
				t.Errorf("a pod that is %s has the annotations %v", state, pod.Annotations)
			}
		}
	})
}

func TestIdleUnitsOnCordonedNodesGoFirst(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		nodes, place := ownNodes(e, 2)
		e.Operator()
		e.Guard("cordoned", 6)
		e.Create(kit.Pool("cordoned").Idle(6).Max(6).Layout(layout).With(place).Obj())
		e.AwaitStatus("cordoned", 6, 0)
		pods := inOrder(e, "cordoned")
		leaving, staying := on(pods, nodes[0]), on(pods, nodes[1])
		if len(leaving) != 3 || len(staying) != 3 {
			t.Fatalf("%d pods are on one node and %d on the other: 3 were expected on each", len(leaving), len(staying))
		}
		e.Annotate(&leaving[1], "true")
		e.AwaitStatus("cordoned", 5, 1)
		patchNode(e, nodes[0], `{"spec":{"unschedulable":true}}`, false)
		idleTarget(e, "cordoned", 3)
		e.AwaitStatus("cordoned", 3, 1)
		awaitPods(e, "cordoned", 4)
		mustLive(e, "cordoned", append(staying, leaving[1])...)
	})
}

// What a node that doesn't report does, nobody knows: its pods may be at work.
func TestUnitsOnANodeThatDoesNotReportAreUnknownAndStay(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		nodes, place := ownNodes(e, 2)
		e.Operator()
		e.Guard("lost", 5)
		e.Create(kit.Pool("lost").Idle(4).Delay(0).Layout(layout).With(place).Obj())
		e.AwaitStatus("lost", 4, 0)
		pods := inOrder(e, "lost")
		lost, other := on(pods, nodes[0]), on(pods, nodes[1])
		e.Annotate(&lost[0], "true")
		e.AwaitStatus("lost", 4, 1)

		stopReporting(e, nodes[0])
		awaitDegraded(e, "lost", condition.ReasonSignalUnknown, "node "+nodes[0]+" does not report")
		mustStay(e, "lost")
		idleTarget(e, "lost", 0)
		e.Await("idle units elsewhere are retired", func(g gomega.Gomega) {
			g.Expect(on(e.Pods("lost"), nodes[1])).To(gomega.BeEmpty())
		})
		e.AwaitStatus("lost", 0, 1)
		mustLive(e, "lost", lost...)
		mustStay(e, "lost")
		if len(other) == 0 {
			t.Error("no pod was on the other node")
		}

		reportAgain(e, nodes[0], lost)
		e.AwaitStatus("lost", 0, 1)
		awaitPods(e, "lost", 1)
		mustLive(e, "lost", lost[0])
	})
}

// kwokLabel is the label of the nodes that kwok plays.
func kwokLabel() (key, value string) {
	var like corev1.PodSpec
	lab.OnSimulatedNode(&like)
	for key, value = range like.NodeSelector {
		break
	}
	return key, value
}

// stopReporting makes a simulated node one that kwok doesn't play any more, and says of it what the node controller says
// of a node that is silent for too long.
func stopReporting(e *kit.Env, node string) {
	e.T.Helper()
	key, _ := kwokLabel()
	patchNode(e, node, fmt.Sprintf(`{"metadata":{"labels":{%q:null}}}`, key), false)
	patchNode(e, node, `{"status":{"conditions":[{"type":"Ready","status":"Unknown","reason":"NodeStatusUnknown","message":"Kubelet stopped posting node status."}]}}`, true)
}

// reportAgain brings a simulated node back, and says of its pods what their kubelet would.
func reportAgain(e *kit.Env, node string, pods []corev1.Pod) {
	e.T.Helper()
	key, value := kwokLabel()
	patchNode(e, node, fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, key, value), false)
	e.Await("node "+node+" is ready", func(g gomega.Gomega) {
		o := &corev1.Node{}
		g.Expect(e.Client.Get(e.T.Context(), client.ObjectKey{Name: node}, o)).To(gomega.Succeed())
		g.Expect(o.Status.Conditions).To(gomega.ContainElement(gomega.And(
			gomega.HaveField("Type", corev1.NodeReady), gomega.HaveField("Status", corev1.ConditionTrue))))
	})
	ready := client.RawPatch(types.StrategicMergePatchType, []byte(`{"status":{"conditions":[{"type":"Ready","status":"True"}]}}`))
	for i := range pods {
		if err := client.IgnoreNotFound(e.Client.Status().Patch(e.T.Context(), pods[i].DeepCopy(), ready)); err != nil {
			e.T.Fatalf("make pod %s ready: %v", pods[i].Name, err)
		}
	}
}
