// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/condition"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// byHTTP is a probe that asks for a path.
func byHTTP(path string) v1alpha1.BusyProbe {
	return v1alpha1.BusyProbe{Mode: v1alpha1.BusyByHTTP, HTTP: &v1alpha1.HTTPProbe{
		Path: path, PeriodSeconds: 1, TimeoutSeconds: 5,
	}}
}

// webPool begins a pool on the real node whose containers serve the files below /tmp/www, after a script has made some.
// The server is not process 1, so that it can be stopped.
func webPool(name, script string) *kit.PoolBuilder {
	return shellPool(name, "mkdir /tmp/www; "+script+"; (httpd -f -p 8080 -h /tmp/www & echo $! >/tmp/server)").
		With(func(s *v1alpha1.HotStandbyJobSpec) {
			s.JobTemplate.Template.Spec.Containers[0].StartupProbe = &corev1.Probe{
				ProbeHandler:  corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(8080)}},
				PeriodSeconds: 1, TimeoutSeconds: 20, FailureThreshold: 60,
			}
		})
}

func TestHTTPSeesWhatAWorkerAnswers(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		needNode(e)
		e.Operator()
		e.Guard("http", 4)
		e.Create(kit.Pool("http").Real("run", "-busy-by=http").Idle(2).Max(4).Layout(layout).Probe(byHTTP("/busy")).Obj())
		e.AwaitStatus("http", 2, 0)
		pods := inOrder(e, "http")
		tell(e, &pods[0], "/busy")
		e.AwaitStatus("http", 2, 1)
		awaitState(e, &pods[0], v1alpha1.PodBusy)
		tell(e, &pods[0], "/idle")
		e.AwaitStatus("http", 2, 0)
		awaitPods(e, "http", 2)
	})
}

func TestHTTPWhoseSuccessIsIdle(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		needNode(e)
		e.Operator()
		probe := byHTTP("/warm.html")
		probe.HTTP.SuccessIsBusy = new(false)
		e.Guard("inverted", 4)
		e.Create(webPool("inverted", "touch /tmp/www/warm.html").Idle(2).Max(4).Layout(layout).Probe(probe).Obj())
		e.AwaitStatus("inverted", 2, 0)
		pods := inOrder(e, "inverted")
		inside(e, &pods[1], "worker", "rm /tmp/www/warm.html")
		e.AwaitStatus("inverted", 2, 1)
		awaitState(e, &pods[1], v1alpha1.PodBusy)
	})
}

// Defect 17: a pod could send the operator anywhere by a redirect. The server redirects /work to /work/, which is there.
func TestHTTPRedirectIsNotFollowed(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		needNode(e)
		e.Operator()
		e.Guard("redirect", 2)
		e.Create(webPool("redirect", "mkdir /tmp/www/work; touch /tmp/www/work/index.html").
			Idle(2).Max(4).Layout(layout).Probe(byHTTP("/work")).Obj())
		e.AwaitStatus("redirect", 2, 0)
		e.Update("redirect", func(s *v1alpha1.HotStandbyJobSpec) { // as a check of the test: what it redirects to is success
			s.BusyProbe.HTTP.Path, s.IdleTarget = "/work/", 0
		})
		e.AwaitStatus("redirect", 0, 2)
	})
}

// Defect 16: a request that failed meant idle, whatever the pod did.
func TestHTTPPodThatHangsIsUnknownAndNotRetired(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		for name, success := range map[string]bool{"success is busy": true, "success is idle": false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				e := kit.New(t)
				needNode(e)
				e.Operator()
				script, probe := ":", byHTTP("/probed.html")
				probe.HTTP.SuccessIsBusy, probe.HTTP.TimeoutSeconds = &success, 2
				if !success {
					script = "touch /tmp/www/probed.html"
				}
				e.Guard("hangs", 3)
				e.Create(webPool("hangs", script).Idle(3).Delay(0).Layout(layout).Probe(probe).Obj())
				e.AwaitStatus("hangs", 3, 0)
				pods := inOrder(e, "hangs")
				inside(e, &pods[1], "worker", "kill -STOP $(cat /tmp/server)")
				awaitDegraded(e, "hangs", condition.ReasonSignalUnknown, "no answer within 2s")
				idleTarget(e, "hangs", 0)
				e.AwaitStatus("hangs", 0, 0)
				awaitPods(e, "hangs", 1)
				mustLive(e, "hangs", pods[1])
				mustStay(e, "hangs")
				inside(e, &pods[1], "worker", "kill -CONT $(cat /tmp/server)")
				awaitPods(e, "hangs", 0)
			})
		}
	})
}
