// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/probe"
)

// state is a pod's label.
func (c *cluster) state(pod string) string { return c.pod(pod).Labels[v1alpha1.LabelState] }

// deleting is a fault before the deletion of a pod; Jobs are deleted without.
func deleting(fault func(pod client.Object) error) func(client.Object) error {
	return func(o client.Object) error {
		if _, ok := o.(*corev1.Pod); ok {
			return fault(o)
		}
		return nil
	}
}

// TestScaleDown guards against defect 4, and 5: busy units aren't among those that go.
func TestScaleDown(t *testing.T) {
	c := newCluster(t, func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget, s.ScaleDownDelaySeconds = 4, new(int32(30)) })
	c.fill()
	c.change("demo-w-00001-0", busy)
	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 1 })
	if result := c.pass(); result.RequeueAfter != 30*time.Second {
		t.Errorf("a surplus is looked at again in %s, want its delay, 30 s", result.RequeueAfter)
	}
	if n := len(c.pods()); n != 4 {
		t.Fatalf("%d pods are left before the delay is over", n)
	}
	c.asked()
	c.clock.SetTime(noon.Add(30 * time.Second))
	c.pass()
	if diff := cmp.Diff([]string{"demo-w-00001-0", "demo-w-00004-0"}, c.podNames()); diff != "" {
		t.Errorf("pods that are left: the busy one and an idle one (-want +got):\n%s", diff)
	}
	want := []string{
		"delete Job demo-w-00002", "delete Job demo-w-00003", "delete Pod demo-w-00002-0", "delete Pod demo-w-00003-0",
		"patch Pod demo-w-00002-0", "patch Pod demo-w-00003-0", "patch status of HotStandbyJob demo",
	}
	if diff := cmp.Diff(want, c.asked()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Normal UnitsRetired: retired 2 units: more than are wanted"}, c.recorder.sent()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestBusyPodsSurvive turns a pod busy at each step of its retirement (defect 5).
func TestBusyPodsSurvive(t *testing.T) {
	const pod = "demo-w-00001-0"
	for name, turn := range map[string]func(c *cluster){
		"since the cache saw it": func(c *cluster) {
			c.onPatch = func(client.Object) error { c.onPatch = nil; c.change(pod, busy); return nil }
		},
		"between the fence and the deletion": func(c *cluster) {
			c.onDelete = deleting(func(client.Object) error { c.onDelete = nil; c.change(pod, busy); return nil })
		},
		"in the fence's own conflict": func(c *cluster) {
			c.onPatch = func(o client.Object) error {
				c.onPatch = nil
				c.change(pod, busy)
				return apierrors.NewConflict(podsKind, o.GetName(), errors.New("changed"))
			}
		},
	} {
		for layout, change := range map[string]func(*v1alpha1.HotStandbyJobSpec){"a Job per unit": nil, "a shared Job": shareJob} {
			t.Run(name+", "+layout, func(t *testing.T) {
				c := newCluster(t, func(s *v1alpha1.HotStandbyJobSpec) {
					s.IdleTarget = 1
					if change != nil {
						change(s)
					}
				})
				c.fill()
				c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 0 })
				turn(c)
				c.pass()
				if n := len(c.pods()); n != 1 {
					t.Fatal("the busy pod was deleted")
				}
				c.pass()
				if jobs, state := len(c.jobs()), c.state(pod); jobs != 1 || state != string(v1alpha1.PodBusy) {
					t.Errorf("there are %d Jobs, and the pod is %s", jobs, state)
				}
				if got := c.pool().Status.BusyCount; got != 1 {
					t.Errorf("busyCount is %d", got)
				}
				c.pass()
				if n := count(c.asked(), "delete"); n > 1 {
					t.Errorf("%d deletions were tried", n)
				}
			})
		}
	}
}

func TestConflictsLeaveTheUnit(t *testing.T) {
	for name, fault := range map[string]func(c *cluster, err error){
		"of the fence":    func(c *cluster, err error) { c.onPatch = func(client.Object) error { return err } },
		"of the deletion": func(c *cluster, err error) { c.onDelete = deleting(func(client.Object) error { return err }) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, nil)
			c.fill()
			c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 1 })
			fault(c, apierrors.NewConflict(podsKind, "", errors.New("changed")))
			c.pass()
			if jobs, pods := len(c.jobs()), len(c.pods()); jobs != 2 || pods != 2 {
				t.Errorf("%d Jobs and %d pods are left", jobs, pods)
			}
			if n := count(c.asked(), "delete Job"); n != 0 {
				t.Error("a Job was deleted whose pod is there")
			}
			c.onPatch, c.onDelete = nil, nil
			c.pass()
			if jobs, pods := len(c.jobs()), len(c.pods()); jobs != 1 || pods != 1 {
				t.Errorf("%d Jobs and %d pods are left after the next try, want 1", jobs, pods)
			}
		})
	}
}

// TestUnitsGoWhole: what the kubelet writes meanwhile is no reason to leave a unit with some of its pods, whose Job fails.
func TestUnitsGoWhole(t *testing.T) {
	c := newCluster(t, func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget, s.JobTemplate.Parallelism = 1, new(int32(2)) })
	c.fill()
	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 0 })
	written := map[string]bool{}
	c.onDelete = deleting(func(o client.Object) error {
		if !written[o.GetName()] {
			written[o.GetName()] = true
			c.change(o.GetName(), func(*corev1.Pod) {}) // a new resource version
		}
		return nil
	})
	c.pass()
	if jobs, pods := len(c.jobs()), len(c.pods()); jobs != 0 || pods != 0 || len(written) != 2 {
		t.Errorf("%d Jobs and %d pods are left, %d pods were written meanwhile", jobs, pods, len(written))
	}
}

// TestErrorsStopRetirement: the server has trouble, and shouldn't have more by us.
func TestErrorsStopRetirement(t *testing.T) {
	c := newCluster(t, func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 8 })
	c.fill()
	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 0 })
	c.onPatch = func(client.Object) error { return apierrors.NewInternalError(errors.New("no leader")) }
	if err := c.fails(); !apierrors.IsInternalError(err) || !strings.Contains(err.Error(), "fence pod demo-w-") {
		t.Errorf("the error is %v", err)
	}
	if n := count(c.asked(), "patch Pod"); n != 1 {
		t.Errorf("%d tries, want 1", n)
	}
	if n := len(c.pods()); n != 8 {
		t.Errorf("%d pods are left", n)
	}
}

// TestLastLook asks pods again before they go, in the modes where only they know.
func TestLastLook(t *testing.T) {
	for name, tc := range map[string]struct {
		answer   probe.Reading
		wantPods int
	}{
		"still idle":                     {probe.Reading{Signal: probe.Idle}, 0},
		"starting, though it was idle":   {probe.Reading{Signal: probe.Starting}, 1},
		"busy by now (defect 5)":         {probe.Reading{Signal: probe.Busy}, 1},
		"no answer is busy (defect 16)":  {probe.Reading{Signal: probe.Unknown, Last: probe.Idle}, 1},
		"an error goes by the other way": {probe.Reading{Signal: probe.Failed}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, func(s *v1alpha1.HotStandbyJobSpec) {
				s.IdleTarget = 1
				s.BusyProbe = v1alpha1.BusyProbe{Mode: v1alpha1.BusyByHTTP}
			})
			c.prober.readings = map[types.UID]probe.Reading{"games/demo-w-00001-0": {Signal: probe.Idle, Last: probe.Idle}}
			c.fill()
			c.prober.recheck = func(probe.Target) probe.Reading { return tc.answer }
			c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 0 })
			c.pass()
			if n := len(c.pods()); n != tc.wantPods {
				t.Errorf("%d pods are left, want %d", n, tc.wantPods)
			}
		})
	}
}

// TestLastLookAtStartingPods: a pod that never was idle may say that it still starts.
func TestLastLookAtStartingPods(t *testing.T) {
	c := newCluster(t, func(s *v1alpha1.HotStandbyJobSpec) {
		s.IdleTarget = 1
		s.BusyProbe = v1alpha1.BusyProbe{Mode: v1alpha1.BusyByRedis}
	})
	c.prober.readings = map[types.UID]probe.Reading{"games/demo-w-00001-0": {Signal: probe.Starting, Last: probe.Starting}}
	c.pass()
	c.startPods()
	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 0 })
	c.pass()
	if n := len(c.pods()); n != 0 {
		t.Errorf("%d pods are left", n)
	}
}

func TestTargetsAreTheReadyPods(t *testing.T) {
	c := newCluster(t, func(s *v1alpha1.HotStandbyJobSpec) {
		s.BusyProbe = v1alpha1.BusyProbe{Mode: v1alpha1.BusyByExec, Exec: &v1alpha1.ExecProbe{Runner: v1alpha1.ExecAPIServer}}
	})
	c.pass()
	c.startPods()
	p := c.pod("demo-w-00002-0")
	p.Status.Conditions[0].Status = corev1.ConditionFalse
	c.must(c.server.Status().Update(t.Context(), p))
	c.pass()
	want := []probe.Target{{UID: "games/demo-w-00001-0", Name: "demo-w-00001-0", Namespace: "games", IP: "10.0.0.1", Container: "worker"}}
	if diff := cmp.Diff(want, c.prober.set[len(c.prober.set)-1].Targets); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.BusyProbe = v1alpha1.BusyProbe{Mode: v1alpha1.BusyByAnnotation} })
	before := c.prober.forgot
	c.pass()
	if c.prober.forgot != before+1 {
		t.Error("the prober goes on in a mode that needs none")
	}
}

// TestUnitOfThreePods: one that turns busy behind the fence of another keeps the whole unit, and its fence is lifted.
func TestUnitOfThreePods(t *testing.T) {
	c := newCluster(t, func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget, s.JobTemplate.Parallelism = 1, new(int32(3)) })
	c.fill()
	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 0 })
	patches := 0
	c.onPatch = func(client.Object) error {
		if patches++; patches == 2 {
			c.change("demo-w-00001-2", busy)
			c.change("demo-w-00001-1", busy)
		}
		return nil
	}
	c.pass()
	c.onPatch = nil
	c.pass()
	var states []string
	for _, p := range c.pods() {
		states = append(states, p.Labels[v1alpha1.LabelState])
	}
	if diff := cmp.Diff([]string{"idle", "busy", "busy"}, states); diff != "" {
		t.Errorf("the pods are labelled (-want +got):\n%s", diff)
	}
}
