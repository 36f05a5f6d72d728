// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/standby"
)

func TestPodsOfOthersAreLeftAlone(t *testing.T) {
	c := newCluster(t, pushed)
	c.fillPushed()
	foreign := func(name string, change func(*corev1.Pod)) {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "games", Labels: map[string]string{
			v1alpha1.LabelName: "demo", v1alpha1.LabelState: string(v1alpha1.PodIdle),
		}, Annotations: map[string]string{}}}
		change(p)
		c.must(c.server.Create(t.Context(), p))
	}
	foreign("by-hand", func(*corev1.Pod) {})
	foreign("of-another", func(p *corev1.Pod) {
		claim(p)
		delete(p.Labels, v1alpha1.LabelLaunch)
	})
	foreign("cold", func(p *corev1.Pod) {
		claim(p)
		p.Annotations[v1alpha1.AnnotationStart] = v1alpha1.StartCold
	})
	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 0 })
	c.pass()
	if diff := cmp.Diff([]string{"by-hand", "cold", "of-another"}, c.podNames()); diff != "" {
		t.Errorf("pods that are left (-want +got):\n%s", diff)
	}
	if s := c.pool().Status; s.BusyCount != 0 {
		t.Errorf("the status is %+v", s)
	}
}

func TestOrphanedPlainPodsAreAdopted(t *testing.T) {
	c := newCluster(t, pushed)
	c.fillPushed()
	c.change("demo-w-00001", func(p *corev1.Pod) { p.OwnerReferences = nil })
	c.pass()
	if p := c.pod("demo-w-00001"); !metav1.IsControlledBy(p, c.pool()) {
		t.Errorf("its owners are %v", p.OwnerReferences)
	}
	if diff := cmp.Diff([]string{"Normal PodAdopted: adopted Pod demo-w-00001, which had no owner"}, c.recorder.sent()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestReports holds that what workloads report is their busy signal, and that what can't report may be busy.
func TestReports(t *testing.T) {
	c := newCluster(t, func(s *v1alpha1.HotStandbyJobSpec) {
		s.JobTemplate.Command = []string{"game"}
		s.BusyProbe.Mode = v1alpha1.BusyByReport
	})
	one, two := types.UID("games/demo-w-00001-0"), types.UID("games/demo-w-00002-0")
	c.pass()
	c.startPods()
	c.pass()
	if s := c.pool().Status; s.StartingCount != 2 {
		t.Fatalf("before they have reported, the status is %+v", s)
	}
	c.registry.works = map[types.UID]standby.Work{one: standby.WorkIdle, two: standby.WorkBusy}
	c.pass()
	if s := c.pool().Status; s.IdleCount != 1 || s.BusyCount != 1 || s.DesiredActive != 3 {
		t.Errorf("the status is %+v", s)
	}
	c.pass()
	delete(c.registry.works, two)
	c.pass()
	if s := c.pool().Status; s.UnknownCount != 1 || s.BusyCount != 1 {
		t.Errorf("of a pod that isn't connected the status is %+v", s)
	}
	// One that turns busy after the decision isn't deleted.
	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 0 })
	c.onPatch = func(client.Object) error { c.onPatch = nil; c.registry.works[one] = standby.WorkBusy; return nil }
	c.asked()
	c.pass()
	if got := c.asked(); count(got, "delete Pod demo-w-00001-0") > 0 {
		t.Errorf("requests: %v", got)
	}
}
