// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"testing"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// workload is how the pods of a mode tell that they are busy.
type workload struct {
	pool *kit.PoolBuilder
	busy func(p *corev1.Pod) // gives a pod work
	tend func(g gomega.Gomega)
}

// workloads are those of all modes, each in its cheapest form that is the real thing.
var workloads = map[v1alpha1.BusyProbeMode]func(t *testing.T, e *kit.Env) workload{
	v1alpha1.BusyByAnnotation: func(_ *testing.T, e *kit.Env) workload {
		return workload{pool: kit.Pool("lowered"), busy: func(p *corev1.Pod) { e.Annotate(p, "true") }, tend: func(gomega.Gomega) {}}
	},
	v1alpha1.BusyByRedis: func(t *testing.T, e *kit.Env) workload {
		s := newRedis(t)
		return workload{
			pool: kit.Pool("lowered").Probe(s.probe()),
			busy: func(p *corev1.Pod) { s.say(p, "busy") },
			tend: func(g gomega.Gomega) { s.register(g, e.Pods("lowered")) },
		}
	},
	v1alpha1.BusyByExec: func(_ *testing.T, e *kit.Env) workload {
		needNode(e)
		probe := byFile()
		probe.Exec.PeriodSeconds = 5 // each is a process in a container, of 25 pods
		return workload{
			pool: kit.Pool("lowered").Real("run", "-busy-by=file").Probe(probe),
			busy: func(p *corev1.Pod) { tell(e, p, "/busy") },
			tend: func(gomega.Gomega) {},
		}
	},
	v1alpha1.BusyByHTTP: func(_ *testing.T, e *kit.Env) workload {
		needNode(e)
		return workload{
			pool: kit.Pool("lowered").Real("run", "-busy-by=http").Probe(byHTTP("/busy")),
			busy: func(p *corev1.Pod) { tell(e, p, "/busy") },
			tend: func(gomega.Gomega) {},
		}
	},
}

// Defects 4 and 5: nothing was ever scaled down, or what was worked in was. The pools of real pods are tried one after the
// other, each in one layout: they have as many pods as a small machine can run.
func TestLoweringTheIdleTargetFrom20To2With5BusyPodsEndsAt7(t *testing.T) {
	t.Parallel()
	for _, mode := range []v1alpha1.BusyProbeMode{v1alpha1.BusyByAnnotation, v1alpha1.BusyByRedis} {
		for _, layout := range layouts {
			t.Run(fmt.Sprintf("%s/%s", layout, mode), func(t *testing.T) {
				t.Parallel()
				lower(t, mode, layout)
			})
		}
	}
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		t.Run("exec", func(t *testing.T) { lower(t, v1alpha1.BusyByExec, v1alpha1.LayoutJobPerUnit) })
		t.Run("http", func(t *testing.T) { lower(t, v1alpha1.BusyByHTTP, v1alpha1.LayoutSharedJob) })
	})
}

func lower(t *testing.T, mode v1alpha1.BusyProbeMode, layout v1alpha1.Layout) {
	e := kit.New(t)
	w := workloads[mode](t, e)
	await := func(idle, busy int) {
		t.Helper()
		e.Await("idle and busy units", func(g gomega.Gomega) {
			w.tend(g)
			expectStatus(g, e.Get("lowered"), idle, busy)
		})
	}
	e.Operator()
	e.Guard("lowered", 25)
	e.Create(w.pool.Idle(20).Delay(3600).Layout(layout).Obj())
	await(20, 0)
	pods, busy := inOrder(e, "lowered"), []corev1.Pod{}
	for _, i := range []int{0, 1, 9, 18, 19} { // first, middle, last
		w.busy(&pods[i])
		busy = append(busy, pods[i])
	}
	await(20, 5)

	idleTarget(e, "lowered", 2)
	mustStay(e, "lowered") // for the delay, which is an hour
	e.Update("lowered", func(s *v1alpha1.HotStandbyJobSpec) { s.ScaleDownDelaySeconds = new(int32(1)) })
	await(2, 5)
	awaitPods(e, "lowered", 7)
	mustLive(e, "lowered", busy...)
	passes(e, "lowered", 1) // the one that has taken the pods takes their Jobs, too
	mustStay(e, "lowered")
}
