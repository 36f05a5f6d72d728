// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/object"
	"github.com/paia-tech/hotstandbyjob/internal/standby"
)

// registry is a Registry that says what it is told to.
type registry struct{ works map[types.UID]standby.Work }

func (r *registry) Works(types.NamespacedName) map[types.UID]standby.Work { return r.works }

func pushed(s *v1alpha1.HotStandbyJobSpec) {
	s.Assignment = v1alpha1.AssignmentPush
	s.JobTemplate = v1alpha1.JobTemplate{Image: "busybox", Command: []string{"sleep"}}
}

// startStandbys is the kubelet: plain pods that aren't ready yet become so.
func (c *cluster) startStandbys() {
	c.t.Helper()
	for _, p := range c.pods() {
		if p.Status.Phase == "" {
			c.run(&p)
		}
	}
}

func (c *cluster) run(p *corev1.Pod) {
	c.t.Helper()
	p.Spec.NodeName = "n"
	c.must(c.server.Update(c.t.Context(), p))
	p.Status = corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{
		Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(c.clock.Now()),
	}}}
	c.must(c.server.Status().Update(c.t.Context(), p))
}

// claim is what a claim makes of a pod.
func claim(p *corev1.Pod) {
	p.Labels[v1alpha1.LabelState], p.Labels[v1alpha1.LabelLaunch] = string(v1alpha1.PodBusy), "demo"
	p.Annotations[v1alpha1.AnnotationStart] = v1alpha1.StartWarm
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: "job", UID: "job", Controller: new(true)}}
}

// fillPushed brings a pool of plain pods to where all are idle.
func (c *cluster) fillPushed() {
	c.t.Helper()
	c.pass()
	c.startStandbys()
	c.pass()
	c.pass()
	c.asked()
	c.recorder.sent()
}

func TestPoolOfPlainPodsIsFilled(t *testing.T) {
	c := newCluster(t, pushed)
	c.pass()
	want := []string{"create Pod demo-w-00001", "create Pod demo-w-00002", "patch status of HotStandbyJob demo", "try Pod "}
	if diff := cmp.Diff(want, c.asked()); diff != "" {
		t.Errorf("requests of the first pass (-want +got):\n%s", diff)
	}
	c.pass()
	c.startStandbys()
	c.asked()
	c.pass()
	want = []string{"patch status of HotStandbyJob demo"}
	if diff := cmp.Diff(want, c.asked()); diff != "" {
		t.Errorf("requests when they run (-want +got):\n%s", diff)
	}
	if got := c.condition(v1alpha1.ConditionReady); got != "True IdleTargetMet" {
		t.Errorf("Ready is %s", got)
	}
	status := c.pool().Status
	if status.IdleCount != 2 || status.ActiveCount != 2 || status.ChildJobs != 0 || status.DesiredActive != 2 {
		t.Errorf("the status is %+v", status)
	}
	settings := standby.PoolSettings{UID: "pool", Revision: object.Revision(c.pool()), StartTimeout: 30 * time.Second, ManagesEviction: true}
	if diff := cmp.Diff(settings, Settings(c.pool())); diff != "" {
		t.Errorf("what the registry must know (-want +got):\n%s", diff)
	}
	for range 3 {
		c.clock.SetTime(c.clock.Now().Add(time.Hour))
		c.pass()
	}
	if got := c.asked(); len(got) > 0 {
		t.Errorf("requests at rest: %v", got)
	}
}

func TestClaimedPodsAreBusyAndReplaced(t *testing.T) {
	c := newCluster(t, pushed)
	c.fillPushed()
	c.change("demo-w-00001", claim)
	c.pass()
	if diff := cmp.Diff([]string{"create Pod demo-w-00003", "patch status of HotStandbyJob demo"}, c.asked()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	c.startStandbys()
	c.pass()
	c.pass()
	if s := c.pool().Status; s.BusyCount != 1 || s.IdleCount != 2 {
		t.Errorf("the status is %+v", s)
	}
	p := c.pod("demo-w-00001")
	p.Status.Phase = corev1.PodSucceeded
	c.must(c.server.Status().Update(t.Context(), p))
	c.pass()
	c.asked()
	c.pass()
	if s := c.pool().Status; s.BusyCount != 0 || s.IdleCount != 2 || len(c.asked()) > 0 {
		t.Errorf("after the launch the status is %+v", s)
	}
	if n := len(c.pods()); n != 3 {
		t.Errorf("%d pods are left: the ended one is its Job's", n)
	}
}

// TestClaimsWin has a pod claimed at each moment of its retirement and labelling.
func TestClaimsWin(t *testing.T) {
	const pod = "demo-w-00001"
	for name, tc := range map[string]struct {
		change func(*v1alpha1.HotStandbyJobSpec)
		turn   func(c *cluster)
	}{
		"before the fence": {func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 0 }, func(*cluster) {}},
		"before its label is put right": {func(*v1alpha1.HotStandbyJobSpec) {}, func(c *cluster) {
			c.change(pod, func(p *corev1.Pod) { p.Labels[v1alpha1.LabelState] = string(v1alpha1.PodStarting) })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, func(s *v1alpha1.HotStandbyJobSpec) { pushed(s); s.IdleTarget = 1 })
			c.fillPushed()
			c.respec(tc.change)
			tc.turn(c)
			c.onPatch = func(client.Object) error { c.onPatch = nil; c.change(pod, claim); return nil }
			c.pass()
			if got := c.state(pod); got != string(v1alpha1.PodBusy) {
				t.Fatalf("the claimed pod is labelled %s", got)
			}
			c.pass()
			if got := count(c.asked(), "delete"); got != 0 || c.pool().Status.BusyCount != 1 {
				t.Errorf("%d deletions; the status is %+v", got, c.pool().Status)
			}
		})
	}
}

// TestKubeletsWritesDontStopAFence holds that only a claim does.
func TestKubeletsWritesDontStopAFence(t *testing.T) {
	c := newCluster(t, func(s *v1alpha1.HotStandbyJobSpec) { pushed(s); s.IdleTarget = 1 })
	c.fillPushed()
	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 0 })
	c.onPatch = func(client.Object) error {
		c.onPatch = nil
		p := c.pod("demo-w-00001")
		p.Status.PodIP = "10.0.0.9"
		return c.server.Status().Update(t.Context(), p)
	}
	c.pass()
	want := []string{"delete Pod demo-w-00001", "patch Pod demo-w-00001", "patch status of HotStandbyJob demo"}
	if diff := cmp.Diff(want, c.asked()); diff != "" || len(c.pods()) != 0 {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestLostAnswersOfPlainPods(t *testing.T) {
	c := newCluster(t, pushed)
	c.onMade = func(o client.Object) error {
		c.hidden[o.GetName()] = true // the watch lags
		return errLost
	}
	for range 5 {
		if _, err := c.reconcile(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	}
	if n := len(c.pods()); n != 2 {
		t.Fatalf("%d pods were made, want 2", n)
	}
	c.onMade = nil
	clear(c.hidden)
	c.fillPushed()
	if n, idle := len(c.pods()), c.pool().Status.IdleCount; n != 2 || idle != 2 {
		t.Errorf("%d pods and %d idle units, want 2 and 2", n, idle)
	}
}

func TestImpossiblePlainPods(t *testing.T) {
	c := newCluster(t, func(s *v1alpha1.HotStandbyJobSpec) { pushed(s); s.JobTemplate.Command = nil })
	c.pass()
	if diff := cmp.Diff([]string{"patch status of HotStandbyJob demo"}, c.asked()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if got := c.condition(v1alpha1.ConditionDegraded); got != "True InvalidTemplate" {
		t.Errorf("Degraded is %s", got)
	}
	if got := c.recorder.sent(); len(got) != 1 || !strings.Contains(got[0], "jobTemplate.command") {
		t.Errorf("events: %v", got)
	}
	c.respec(pushed)
	c.fillPushed()
	if got := c.condition(v1alpha1.ConditionDegraded); got != "False AsExpected" {
		t.Errorf("Degraded is %s", got)
	}
	// An operator that is started without what it had before says so, and makes no pods that can't work.
	c.restart()
	c.r.Entrypoint = nil
	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 3 })
	c.pass()
	c.pass()
	if got, n := c.condition(v1alpha1.ConditionDegraded), count(c.asked(), "create"); got != "True InvalidTemplate" || n > 0 {
		t.Errorf("Degraded is %s, and %d pods were made", got, n)
	}
}

func TestPlainPodsWhereNoJobCouldStartInThem(t *testing.T) {
	c := newCluster(t, pushed)
	c.r.Unlaunchable = true
	c.pass()
	c.pass()
	if got, n := c.condition(v1alpha1.ConditionDegraded), count(c.asked(), "create"); got != "True LaunchesUnsupported" || n > 0 {
		t.Errorf("Degraded is %s, and %d pods were made", got, n)
	}
	if got := c.recorder.sent(); len(got) != 1 || !strings.Contains(got[0], "use Pull") || !strings.Contains(got[0], "managedBy") {
		t.Errorf("events: %v", got)
	}
}

func TestRefusedPlainPods(t *testing.T) {
	c := newCluster(t, pushed)
	c.onDryRun = func(o client.Object) error {
		return apierrors.NewForbidden(podsKind, o.GetName(), errors.New("not restricted"))
	}
	c.pass()
	if got, n := c.condition(v1alpha1.ConditionDegraded), count(c.asked(), "create"); got != "True Refused" || n > 0 {
		t.Errorf("Degraded is %s, and %d pods were made", got, n)
	}
}

func TestOldPlainPodsAreReplacedOneByOne(t *testing.T) {
	c := newCluster(t, func(s *v1alpha1.HotStandbyJobSpec) {
		pushed(s)
		s.Standby = &v1alpha1.StandbySpec{MaxIdleSeconds: new(int32(600))}
	})
	c.fillPushed()
	if result := c.pass(); result.RequeueAfter != 10*time.Minute {
		t.Errorf("another pass in %s, want maxIdleSeconds", result.RequeueAfter)
	}
	c.clock.SetTime(noon.Add(10 * time.Minute))
	c.pass()
	c.pass()
	if diff := cmp.Diff([]string{"demo-w-00002", "demo-w-00003"}, c.podNames()); diff != "" {
		t.Fatalf("pods (-want +got):\n%s", diff)
	}
	c.startStandbys()
	for range 3 {
		c.pass()
	}
	if diff := cmp.Diff([]string{"demo-w-00003", "demo-w-00004"}, c.podNames()); diff != "" {
		t.Errorf("pods (-want +got):\n%s", diff)
	}
}

// A pod without the gateway's certificate would hear of launches by the slow way for as long as it lives.
func TestNoPodIsMadeBeforeTheGatewayHasACertificate(t *testing.T) {
	c := newCluster(t, pushed)
	e := object.Entrypoint{Image: "operator", GatewayURL: "https://gateway:7443"}
	c.r.Entrypoint = func() object.Entrypoint { return e }
	for _, tc := range []struct {
		later time.Duration
		want  string
	}{{0, "False AsExpected"}, {certificatePatience - 1, "False AsExpected"}, {1, "True NoCertificate"}} {
		c.clock.SetTime(c.clock.Now().Add(tc.later))
		again, err := c.reconcile()
		if err != nil {
			t.Fatal(err)
		}
		if again.RequeueAfter <= 0 || again.RequeueAfter > certificateLook {
			t.Errorf("it is looked again after %v, want %v at most", again.RequeueAfter, certificateLook)
		}
		if n := len(c.pods()); n != 0 {
			t.Errorf("%d pods were made", n)
		}
		if got, want := c.condition(v1alpha1.ConditionDegraded), tc.want; got != want {
			t.Errorf("after %v: Degraded is %s, want %s", tc.later, got, want)
		}
	}
	e.CA = "certificate"
	c.pass()
	if n := len(c.pods()); n == 0 {
		t.Error("no pod was made with a certificate")
	}
	if got := c.condition(v1alpha1.ConditionDegraded); got != "False AsExpected" {
		t.Errorf("with a certificate: Degraded is %s", got)
	}
}
