// SPDX-License-Identifier: Apache-2.0

package standby

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

func TestAClaimMakesThePodTheJobsByOneWrite(t *testing.T) {
	c := newCluster()
	pod := idlePod("a")
	pod.Finalizers = []string{"example.org/mine"}
	c.add(t, pod)
	claimed, err := c.Claim(t.Context(), claimOf("job"))
	if err != nil {
		t.Fatal(err)
	}
	stored := c.get(t, "a")
	if diff := cmp.Diff(stored, claimed); diff != "" {
		t.Errorf("returned (-stored +returned):\n%s", diff)
	}
	payload := stored.Annotations[v1alpha1.AnnotationPayload]
	if got := commandOf(t, payload); got != "play job" {
		t.Errorf("the payload's command is %q", got)
	}
	want := pod.DeepCopy()
	want.Labels[v1alpha1.LabelState], want.Labels[v1alpha1.LabelLaunch], want.Labels["job-name"] = "busy", "game", "job"
	want.Annotations = map[string]string{
		v1alpha1.AnnotationPayload: payload, v1alpha1.AnnotationStart: "warm", "a~b/c": "d", safeToEvict: "false", doNotDisrupt: "true",
	}
	want.OwnerReferences = []metav1.OwnerReference{claimOf("job").Owner}
	want.Finalizers = []string{"example.org/mine", "batch.kubernetes.io/job-tracking"}
	if diff := cmp.Diff(want, stored); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if n := len(c.client.Actions()) - 1; n != 1 { // the last one is this test's
		t.Errorf("%d requests were made, want 1", n)
	}
}

func TestOnlyWhatIsIdleIsClaimed(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*corev1.Pod)
		before func(*cluster)
	}{
		"a pod that is starting":                   {change: func(p *corev1.Pod) { p.Labels[v1alpha1.LabelState] = "starting" }},
		"a pod that is retiring":                   {change: func(p *corev1.Pod) { p.Labels[v1alpha1.LabelState] = "retiring" }},
		"a pod that is being deleted":              {change: func(p *corev1.Pod) { p.DeletionTimestamp = new(metav1.Now()) }},
		"a pod that doesn't run":                   {change: func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }},
		"a pod that isn't ready":                   {change: func(p *corev1.Pod) { p.Status.Conditions[0].Status = corev1.ConditionFalse }},
		"a pod that says nothing of that":          {change: func(p *corev1.Pod) { p.Status.Conditions = nil }},
		"a pod of an old revision":                 {change: func(p *corev1.Pod) { p.Labels[v1alpha1.LabelRevision] = "r0" }},
		"a pod of another pool":                    {change: func(p *corev1.Pod) { p.Labels[v1alpha1.LabelName] = "other" }},
		"a pod of a Job":                           {change: func(p *corev1.Pod) { p.OwnerReferences = []metav1.OwnerReference{claimOf("j").Owner} }},
		"a pod of nobody":                          {change: func(p *corev1.Pod) { p.OwnerReferences = nil }},
		"a pod of a pool of the same name, before": {change: func(p *corev1.Pod) { p.OwnerReferences[0].UID = "before" }},
		"a pod of a kind of the same name":         {change: func(p *corev1.Pod) { p.OwnerReferences[0].APIVersion = "example.org/v1" }},
		"a pod of a launch":                        {change: func(p *corev1.Pod) { p.Labels[v1alpha1.LabelLaunch] = "game" }},
		"a pod on a cordoned node":                 {before: func(c *cluster) { c.SetCordoned("n1", true) }},
		"a pod of a pool that was dropped":         {before: func(c *cluster) { c.DropPool(game) }},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster()
			if tc.before != nil {
				tc.before(c)
			}
			pod := idlePod("a")
			if tc.change != nil {
				tc.change(pod)
			}
			c.add(t, pod)
			if _, err := c.Claim(t.Context(), claimOf("job")); !errors.Is(err, ErrNoneIdle) || c.patches > 0 {
				t.Errorf("error %v after %d patches", err, c.patches)
			}
			if c.Idle(game) != 0 || c.idle != 0 {
				t.Errorf("%d are idle, told %d times", c.Idle(game), c.idle)
			}
		})
	}
}

func TestAPodIsClaimableAgainWhenWhatKeptItIsOver(t *testing.T) {
	c := newCluster()
	c.add(t, idlePod("a"))
	for name, step := range map[string][2]func(){
		"its node was cordoned":   {func() { c.SetCordoned("n1", true) }, func() { c.SetCordoned("n1", false) }},
		"its pool was dropped":    {func() { c.DropPool(game) }, func() { c.SetPool(game, PoolSettings{Revision: "r1"}) }},
		"the revision was other":  {func() { c.SetPool(game, PoolSettings{Revision: "r2"}) }, func() { c.SetPool(game, PoolSettings{Revision: "r1"}) }},
		"it was observed unready": {func() { p := idlePod("a"); p.Status.Conditions = nil; c.see(p) }, func() { c.see(idlePod("a")) }},
	} {
		step[0]()
		if n := c.Idle(game); n != 0 {
			t.Errorf("%s: %d are idle", name, n)
		}
		step[1]()
		if n := c.Idle(game); n != 1 {
			t.Errorf("%s, and isn't any more: %d are idle", name, n)
		}
	}
}

func TestAClaimThatLosesTheTestTakesAnotherPod(t *testing.T) {
	c := newCluster()
	c.add(t, idlePod("a"))
	c.add(t, idlePod("b"))
	c.retire(t, "a")
	p, err := c.Claim(t.Context(), claimOf("job"))
	if err != nil || p.Name != "b" {
		t.Fatalf("claimed %v, error %v", p, err)
	}
	if p := c.get(t, "a"); p.Labels[v1alpha1.LabelState] != "retiring" || p.OwnerReferences[0].Kind != "HotStandbyJob" {
		t.Errorf("the other pod was changed: %v", p.ObjectMeta)
	}
	c.see(idlePod("a")) // the same event once more
	if n := c.Idle(game); n != 0 {
		t.Errorf("%d are idle", n)
	}
}

func TestAClaimThatLosesTheTestDoesNotTakeWhatOthersWerePromised(t *testing.T) {
	c := newCluster()
	a, b := idlePod("a"), idlePod("b")
	c.add(t, a)
	c.add(t, b)
	theirs, err := c.Reserve(game, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.client.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("pods"), "games", "a"); err != nil {
		t.Fatal(err)
	}
	if p, err := c.Claim(t.Context(), claimOf("one")); !errors.Is(err, ErrNoneIdle) {
		t.Errorf("claimed %v, error %v", p, err)
	}
	if p, err := theirs.Claim(t.Context(), claimOf("two")); err != nil || p.Name != "b" {
		t.Errorf("claimed %v, error %v", p, err)
	}
}

func TestAClaimWithoutAnswerIsResolvedByReading(t *testing.T) {
	for name, tc := range map[string]struct {
		faults      []fault
		wantPatches int
	}{
		"it was made":                 {[]fault{unheard}, 1},
		"it wasn't made":              {[]fault{unapplied}, 2},
		"it wasn't made, then it was": {[]fault{unapplied, unapplied, unheard}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster()
				c.add(t, idlePod("a"))
				c.add(t, idlePod("b"))
				c.faults = tc.faults
				p, err := c.Claim(t.Context(), claimOf("job"))
				if err != nil || p.Name != "a" || c.patches != tc.wantPatches {
					t.Fatalf("claimed %v, error %v, %d patches", p, err, c.patches)
				}
				if diff := cmp.Diff(c.get(t, "a"), p); diff != "" {
					t.Errorf("(-stored +returned):\n%s", diff)
				}
				if c.Idle(game) != 1 || c.get(t, "b").Labels[v1alpha1.LabelState] != "idle" {
					t.Error("the other pod isn't idle any more")
				}
			})
		})
	}
}

func TestAClaimThatIsGivenUpLeavesThePodToThoseAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		c.add(t, idlePod("a"))
		c.client.PrependReactor("*", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, errors.New("connection refused")
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := c.Claim(ctx, claimOf("job"))
			done <- err
		}()
		synctest.Wait()
		if n := c.Idle(game); n != 0 {
			t.Errorf("%d are idle while one is being claimed", n)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) || errors.Is(err, ErrNoneIdle) {
			t.Errorf("error %v", err)
		}
		if n := c.Idle(game); n != 1 {
			t.Errorf("%d are idle", n)
		}
	})
}

func TestAnErrorThatNoOtherPodWouldCureIsReturned(t *testing.T) {
	for name, refusal := range map[string]error{
		"forbidden": apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "a", errors.New("quota")),
		"invalid":   apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "a", nil),
		"too large": apierrors.NewRequestEntityTooLargeError("patch"),
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster()
			c.add(t, idlePod("a"))
			c.add(t, idlePod("b"))
			c.client.PrependReactor("patch", "pods", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, refusal })
			reservation, err := c.Reserve(game, 2)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := reservation.Claim(t.Context(), claimOf("job")); !errors.Is(err, refusal) || errors.Is(err, ErrNoneIdle) {
				t.Errorf("error %v", err)
			}
			if n := c.Idle(game); n != 0 {
				t.Errorf("%d are idle although two are reserved", n)
			}
			reservation.Release()
			if n := c.Idle(game); n != 2 {
				t.Errorf("%d are idle", n)
			}
		})
	}
}

func TestAStaleEventDoesNotPutAClaimedPodBack(t *testing.T) {
	c := newCluster()
	c.add(t, idlePod("a"))
	if _, err := c.Claim(t.Context(), claimOf("job")); err != nil {
		t.Fatal(err)
	}
	stale := idlePod("a")
	stale.ResourceVersion = "2"
	c.see(stale)
	if n := c.Idle(game); n != 0 {
		t.Errorf("%d are idle", n)
	}
	c.see(c.get(t, "a"))
	c.see(stale)
	if n := c.Idle(game); n != 0 {
		t.Errorf("%d are idle", n)
	}
}

func TestAttachedPodsAreClaimedFirstThenThoseIdleLongest(t *testing.T) {
	c := newCluster()
	for _, name := range []string{"a", "b", "c", "d"} {
		c.add(t, idlePod(name))
	}
	attach(t, c, idOf(idlePod("c")), Activity{})
	attach(t, c, idOf(idlePod("b")), Activity{})
	var order []string
	for i := range 4 {
		p, err := c.Claim(t.Context(), claimOf(fmt.Sprint("job-", i)))
		if err != nil {
			t.Fatal(err)
		}
		order = append(order, p.Name)
	}
	if got := strings.Join(order, ""); got != "cbad" {
		t.Errorf("claimed in the order %s", got)
	}
}

func TestAGangGetsAllOrNone(t *testing.T) {
	c := newCluster()
	for i := range 5 {
		c.add(t, idlePod(fmt.Sprint(i)))
	}
	first, err := c.Reserve(game, 3)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Reserve(game, 3); !errors.Is(err, ErrNoneIdle) {
		t.Errorf("a second gang got its pods: %v", err)
	}
	if n := c.Idle(game); n != 2 {
		t.Errorf("%d are idle and free", n)
	}
	told := c.idle
	first.Release()
	first.Release()
	if c.idle != told+1 {
		t.Errorf("those who wait were told %d times", c.idle-told)
	}
	second, err := c.Reserve(game, 5)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if _, err := second.Claim(t.Context(), claimOf(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := second.Claim(t.Context(), claimOf("one more")); !errors.Is(err, ErrNoneIdle) {
		t.Errorf("the reservation gave more than it has: %v", err)
	}
}
