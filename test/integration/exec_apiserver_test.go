// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"testing"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/condition"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// withReadiness gives a worker's container a readinessProbe of its own.
func withReadiness(s *v1alpha1.HotStandbyJobSpec) {
	s.JobTemplate.Template.Spec.Containers[0].ReadinessProbe = &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/ready", Port: intstr.FromInt32(8080)}},
		// A loaded machine shall not make a pod not ready.
		PeriodSeconds: 1, TimeoutSeconds: 20,
	}
}

func byAPIServer(s *v1alpha1.HotStandbyJobSpec) { s.BusyProbe.Exec.Runner = v1alpha1.ExecAPIServer }

// throughAPIServer are the ways to have the command run through the API server.
var throughAPIServer = map[string]func(*v1alpha1.HotStandbyJobSpec){
	"Auto, where the container has a readinessProbe": withReadiness,
	"APIServer": byAPIServer,
}

func TestExecThroughTheAPIServerSeesAWorkersFile(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		for name, way := range throughAPIServer {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				e := kit.New(t)
				needNode(e)
				e.Operator(execEnabled)
				e.Guard("api", 4)
				e.Create(kit.Pool("api").Real("run", "-busy-by=file").Idle(2).Max(4).Layout(layout).Probe(byFile()).With(way).Obj())
				e.AwaitStatus("api", 2, 0)
				for _, p := range e.Pods("api") {
					if p.Annotations[v1alpha1.AnnotationKubeletProbe] != "" {
						t.Errorf("pod %s is probed by the kubelet", p.Name)
					}
				}
				pods := inOrder(e, "api")
				tell(e, &pods[1], "/busy")
				e.AwaitStatus("api", 2, 1)
				awaitState(e, &pods[1], v1alpha1.PodBusy)
				tell(e, &pods[1], "/exit?code=0")
				e.AwaitStatus("api", 2, 0)
			})
		}
	})
}

// Defect 13, through the API server.
func TestExecThroughTheAPIServerWhoseSuccessIsIdle(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		needNode(e)
		e.Operator(execEnabled)
		probe := byShell("test -e /tmp/warm")
		probe.Exec.SuccessIsBusy = new(false)
		e.Guard("inverted", 4)
		// That it isn't warm yet can't be told from being busy: this container is ready when it is warm.
		e.Create(shellPool("inverted", "touch /tmp/warm").Idle(2).Max(4).Layout(layout).Probe(probe).With(byAPIServer).
			With(func(s *v1alpha1.HotStandbyJobSpec) {
				s.JobTemplate.Template.Spec.Containers[0].StartupProbe = &corev1.Probe{
					ProbeHandler:  corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"test", "-e", "/tmp/warm"}}},
					PeriodSeconds: 1, TimeoutSeconds: 20, FailureThreshold: 60,
				}
			}).Obj())
		e.AwaitStatus("inverted", 2, 0)
		pods := inOrder(e, "inverted")
		inside(e, &pods[0], "worker", "rm /tmp/warm")
		e.AwaitStatus("inverted", 2, 1)
		awaitState(e, &pods[0], v1alpha1.PodBusy)
	})
}

// The permission is not installed by default: nothing is known of the pods then, and nothing is done about them.
func TestExecThroughTheAPIServerNeedsTheOperatorsPermission(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		for name, way := range throughAPIServer {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				e := kit.New(t)
				needNode(e)
				e.Operator()
				e.Guard("forbidden", 2)
				e.Create(kit.Pool("forbidden").Real("run", "-busy-by=file").Idle(2).Delay(0).Layout(layout).Probe(byFile()).With(way).Obj())
				awaitUnknown(e, "forbidden", 2)
				awaitDegraded(e, "forbidden", condition.ReasonSignalUnknown, "install config/components/exec")
				mustStay(e, "forbidden")
				idleTarget(e, "forbidden", 0)
				mustStay(e, "forbidden")
			})
		}
	})
}

// Runner Kubelet can't share the container's readinessProbe: no unit is made, and the condition names both ways out.
func TestExecByTheKubeletBesideAReadinessProbeIsRefused(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		e.Operator()
		e.Guard("both", 0)
		pool := kit.Pool("both").Idle(2).Layout(layout).Probe(byFile()).With(withReadiness).With(func(s *v1alpha1.HotStandbyJobSpec) {
			s.BusyProbe.Exec.Runner = v1alpha1.ExecKubelet
		})
		e.Create(pool.Obj())
		awaitDegraded(e, "both", condition.ReasonInvalidTemplate, "remove that, or use runner: APIServer")
		mustStay(e, "both")
		gomega.NewWithT(t).Expect(e.Jobs("both")).To(gomega.BeEmpty())
	})
}

// Defect 14: with timeoutSeconds 0 a command that hung was waited for without end.
func TestExecThatHangsIsUnknown(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		needNode(e)
		e.Operator(execEnabled)
		e.Guard("hangs", 2)
		probe := byShell("while test -e /tmp/hang; do sleep 1; done; test -e /tmp/busy")
		probe.Exec.Runner = v1alpha1.ExecAPIServer
		e.Create(shellPool("hangs", ":").Idle(2).Delay(0).Layout(layout).Probe(probe).Obj())
		e.AwaitStatus("hangs", 2, 0)
		pods := inOrder(e, "hangs")
		inside(e, &pods[0], "worker", "touch /tmp/hang")
		// The default, which is 1 second.
		e.Update("hangs", func(s *v1alpha1.HotStandbyJobSpec) { s.BusyProbe.Exec.TimeoutSeconds = 0 })
		awaitDegraded(e, "hangs", condition.ReasonSignalUnknown, "the command didn't end within")
		idleTarget(e, "hangs", 0)
		e.AwaitStatus("hangs", 0, 0)
		awaitPods(e, "hangs", 1)
		mustLive(e, "hangs", pods[0])
		passes(e, "hangs", 1) // the one that has taken the pod takes its Job, too
		mustStay(e, "hangs")
		inside(e, &pods[0], "worker", "rm /tmp/hang")
		// It is asked ever less often while it hangs; who gives it more time wants to know now.
		e.Update("hangs", func(s *v1alpha1.HotStandbyJobSpec) { s.BusyProbe.Exec.TimeoutSeconds = 20 })
		awaitPods(e, "hangs", 0)
	})
}
