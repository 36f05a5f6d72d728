// SPDX-License-Identifier: Apache-2.0

package standby

import (
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// claimed is a cluster with one pod that is claimed.
func claimed(t *testing.T) (*cluster, PodID, *corev1.Pod) {
	t.Helper()
	c := newCluster()
	id := c.add(t, idlePod("a"))
	p, err := c.Claim(t.Context(), claimOf("job"))
	if err != nil {
		t.Fatal(err)
	}
	return c, id, p
}

func TestAnAttachedPodGetsItsLaunchWithTheClaim(t *testing.T) {
	c := newCluster()
	id := c.add(t, idlePod("a"))
	s := attach(t, c, id, Activity{})
	if got := received(s); got != "" {
		t.Fatalf("got %q before it was claimed", got)
	}
	p, err := c.Claim(t.Context(), claimOf("job"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p.Annotations[v1alpha1.AnnotationPayload], received(s)); diff != "" {
		t.Errorf("(-annotation +stream):\n%s", diff)
	}
	c.see(p)
	if got := received(s); got != "" {
		t.Errorf("got its launch twice")
	}
}

func TestAPodThatAttachesLaterGetsItsLaunch(t *testing.T) {
	c, id, p := claimed(t)
	for range 2 { // a stream that broke before the pod could start is followed by another
		s := attach(t, c, id, Activity{})
		if diff := cmp.Diff(p.Annotations[v1alpha1.AnnotationPayload], received(s)); diff != "" {
			t.Errorf("(-annotation +stream):\n%s", diff)
		}
	}
}

func TestAPodThatHasStartedIsNotGivenItsLaunchAgain(t *testing.T) {
	c, id, p := claimed(t)
	s := attach(t, c, id, Activity{LaunchID: launchID(p.Annotations[v1alpha1.AnnotationPayload]), Started: time.Unix(7, 0)})
	if got := received(s); got != "" {
		t.Errorf("got %q", got)
	}
	if len(c.started) != 1 || !c.started[0].Started.Equal(time.Unix(7, 0)) || c.started[0].PodID != id {
		t.Errorf("told that it has started: %v", c.started)
	}
}

func TestARestartedContainerIsGivenItsLaunchAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, id, p := claimed(t)
		s := attach(t, c, id, Activity{})
		text := received(s)
		if err := c.Report(id, netip.Addr{}, Activity{LaunchID: launchID(text)}); err != nil {
			t.Fatal(err)
		}
		s.Close()
		s = attach(t, c, id, Activity{})
		synctest.Wait()
		if diff := cmp.Diff(p.Annotations[v1alpha1.AnnotationPayload], received(s)); diff != "" {
			t.Errorf("(-annotation +stream):\n%s", diff)
		}
	})
}

func TestAfterARestartOfTheOperatorTheLaunchIsReadFromThePod(t *testing.T) {
	for name, attachFirst := range map[string]bool{"the pod attaches before it is observed": true, "it is observed before": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				before, id, p := claimed(t)
				after := newCluster()
				if err := after.client.Tracker().Add(before.get(t, "a")); err != nil {
					t.Fatal(err)
				}
				failures := 3
				after.client.PrependReactor("get", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
					failures--
					return failures >= 0, nil, errors.New("connection refused")
				})
				if !attachFirst {
					after.see(p)
				}
				s := attach(t, after, id, Activity{})
				if attachFirst {
					after.see(p)
				}
				time.Sleep(time.Minute)
				if diff := cmp.Diff(p.Annotations[v1alpha1.AnnotationPayload], received(s)); diff != "" {
					t.Errorf("(-annotation +stream):\n%s", diff)
				}
			})
		})
	}
}

func TestANewerStreamEndsTheOlderOne(t *testing.T) {
	c := newCluster()
	id := c.add(t, idlePod("a"))
	older := attach(t, c, id, Activity{})
	newer := attach(t, c, id, Activity{})
	if _, open := <-older.Payloads(); open || !errors.Is(older.Err(), ErrReplaced) {
		t.Errorf("the older one is open: %v, error %v", open, older.Err())
	}
	older.Close()
	if p, _ := c.Pod(id.UID); !p.Attached {
		t.Error("closing the older one has ended the newer one")
	}
	c.Forget(id.UID)
	if _, open := <-newer.Payloads(); open || !errors.Is(newer.Err(), ErrForgotten) {
		t.Errorf("the stream of a pod that is gone is open: %v, error %v", open, newer.Err())
	}
}

func TestAPodThatIsNobodysLeavesNothingBehind(t *testing.T) {
	c := newCluster()
	s := attach(t, c, PodID{Namespace: "x", Name: "y", UID: "z"}, Activity{Work: WorkBusy})
	s.Close()
	c.see(idlePod("a"))
	c.Forget("uid-a")
	c.DropPool(game)
	if len(c.pods)+len(c.pools)+len(c.nodes) != 0 {
		t.Errorf("left: %v, %v, %v", c.pods, c.pools, c.nodes)
	}
}

func TestAPodThatDoesNotStartIsStuck(t *testing.T) {
	for name, tc := range map[string]struct {
		story func(c *cluster, id PodID, launch string)
		want  int
	}{
		"it is attached and says nothing": {func(*cluster, PodID, string) { time.Sleep(11 * time.Second) }, 1},
		"told once":                       {func(*cluster, PodID, string) { time.Sleep(time.Hour) }, 1},
		"the time isn't up":               {func(*cluster, PodID, string) { time.Sleep(9 * time.Second) }, 0},
		"it has started": {func(c *cluster, id PodID, launch string) {
			time.Sleep(9 * time.Second)
			_ = c.Report(id, netip.Addr{}, Activity{LaunchID: launch})
			time.Sleep(time.Hour)
		}, 0},
		"it has no stream": {func(c *cluster, id PodID, _ string) {
			c.pods[id.UID].stream.Close()
			time.Sleep(time.Hour)
		}, 0},
		"time without a stream doesn't count": {func(c *cluster, id PodID, _ string) {
			time.Sleep(6 * time.Second)
			c.pods[id.UID].stream.Close()
			time.Sleep(time.Hour)
			s, _ := c.Attach(id, netip.Addr{}, Activity{})
			defer s.Close()
			time.Sleep(3 * time.Second)
		}, 0},
		"time with a stream adds up": {func(c *cluster, id PodID, _ string) {
			time.Sleep(6 * time.Second)
			c.pods[id.UID].stream.Close()
			time.Sleep(time.Hour)
			s, _ := c.Attach(id, netip.Addr{}, Activity{})
			defer s.Close()
			time.Sleep(5 * time.Second)
		}, 1},
		"it is gone": {func(c *cluster, id PodID, _ string) {
			c.Forget(id.UID)
			time.Sleep(time.Hour)
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster()
				c.SetPool(game, PoolSettings{Revision: "r1", StartTimeout: 10 * time.Second})
				id := c.add(t, idlePod("a"))
				attach(t, c, id, Activity{})
				time.Sleep(time.Hour) // being idle doesn't count
				p, err := c.Claim(t.Context(), claimOf("job"))
				if err != nil {
					t.Fatal(err)
				}
				tc.story(c, id, launchID(p.Annotations[v1alpha1.AnnotationPayload]))
				synctest.Wait()
				c.mu.Lock()
				defer c.mu.Unlock()
				if len(c.stuck) != tc.want || (tc.want > 0 && c.stuck[0].PodID != id) {
					t.Errorf("stuck: %v, want %d", c.stuck, tc.want)
				}
			})
		})
	}
}

func TestWorkIsWhatAttachedPodsSay(t *testing.T) {
	c := newCluster()
	told := 0
	c.OnWork(func(types.NamespacedName) { told++ })
	a, b := c.add(t, idlePod("a")), c.add(t, idlePod("b"))
	s := attach(t, c, a, Activity{Work: WorkIdle})
	attach(t, c, b, Activity{})
	steps := []struct {
		name string
		do   func()
		want map[types.UID]Work
		told int
	}{
		{"it is idle when it attaches", func() {}, map[types.UID]Work{a.UID: WorkIdle}, 1},
		{"it turns busy", func() { _ = c.Report(a, netip.Addr{}, Activity{Work: WorkBusy}) }, map[types.UID]Work{a.UID: WorkBusy}, 2},
		{"it says so again", func() { _ = c.Report(a, netip.Addr{}, Activity{Work: WorkBusy}) }, map[types.UID]Work{a.UID: WorkBusy}, 2},
		{"its stream breaks", s.Close, map[types.UID]Work{}, 3},
		{"it says something without a stream", func() { _ = c.Report(a, netip.Addr{}, Activity{Work: WorkIdle}) }, map[types.UID]Work{}, 3},
	}
	for _, step := range steps {
		step.do()
		if diff := cmp.Diff(step.want, c.Works(game)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
		if told != step.told {
			t.Errorf("%s: told %d times, want %d", step.name, told, step.told)
		}
	}
}

// Else what a workload says while its pod is attaching would be lost: the pod takes it for heard.
func TestAReportBeforeItsStreamIsRefused(t *testing.T) {
	c := newCluster()
	p := idlePod("a")
	if err := c.Report(idOf(p), netip.Addr{}, Activity{Work: WorkIdle}); !errors.Is(err, ErrDetached) {
		t.Errorf("of a pod that isn't known: %v", err)
	}
	id := c.add(t, p)
	if err := c.Report(id, netip.Addr{}, Activity{Work: WorkIdle}); !errors.Is(err, ErrDetached) {
		t.Errorf("of a pod without a stream: %v", err)
	}
	attach(t, c, id, Activity{})
	if err := c.Report(id, netip.Addr{}, Activity{Work: WorkIdle}); err != nil || c.Works(game)[id.UID] != WorkIdle {
		t.Errorf("of a pod with a stream: %v, %v", err, c.Works(game))
	}
}

func TestAPodIsNotTakenForAnotherOfItsUID(t *testing.T) {
	c := newCluster()
	id := c.add(t, idlePod("a"))
	id.Name = "b"
	if _, err := c.Attach(id, netip.Addr{}, Activity{}); err == nil {
		t.Error("it has attached")
	}
	if err := c.Report(id, netip.Addr{}, Activity{}); err == nil {
		t.Error("it has reported")
	}
}

// Whoever has stolen a pod's token is elsewhere, and can neither take its place nor speak for it.
func TestAPodIsAtItsAddress(t *testing.T) {
	home, foreign := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	at := func(p *corev1.Pod) *corev1.Pod {
		p.Status.PodIPs = []corev1.PodIP{{IP: "fd00::1"}, {IP: home.String()}}
		return p
	}
	t.Run("known when it attaches", func(t *testing.T) {
		c := newCluster()
		id := c.add(t, at(idlePod("a")))
		own, err := c.Attach(id, home, Activity{})
		if err != nil {
			t.Fatal(err)
		}
		defer own.Close()
		if _, err := c.Attach(id, foreign, Activity{}); !errors.Is(err, ErrElsewhere) {
			t.Errorf("attached from elsewhere: %v", err)
		}
		if err := c.Report(id, foreign, Activity{Work: WorkBusy}); !errors.Is(err, ErrElsewhere) || len(c.Works(game)) > 0 {
			t.Errorf("reported from elsewhere: %v, %v", err, c.Works(game))
		}
		if _, err := c.Claim(t.Context(), claimOf("job")); err != nil {
			t.Fatal(err)
		}
		if received(own) == "" {
			t.Error("the pod's own stream got no launch")
		}
	})
	t.Run("known later", func(t *testing.T) {
		c := newCluster()
		p := idlePod("a")
		strange, err := c.Attach(idOf(p), foreign, Activity{})
		if err != nil {
			t.Fatal(err)
		}
		defer strange.Close()
		c.add(t, at(p))
		if _, err := c.Claim(t.Context(), claimOf("job")); err != nil {
			t.Fatal(err)
		}
		if received(strange) != "" || !errors.Is(strange.Err(), ErrElsewhere) {
			t.Errorf("a stream from elsewhere got the launch, or goes on: %v", strange.Err())
		}
	})
}
