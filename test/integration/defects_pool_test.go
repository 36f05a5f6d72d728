// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// Defects 4 and 5: the Python operators either retired nothing, or what was at work.
func TestRetiredUnitsGoAndBusyOnesStay(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		e.Operator()
		e.Guard("shrinks", 14)
		e.Create(kit.Pool("shrinks").Idle(10).Layout(layout).Obj())
		e.AwaitStatus("shrinks", 10, 0)
		// The oldest work, which were the first to go.
		pods := e.Pods("shrinks")
		for i := range 4 {
			e.Annotate(&pods[i], "true")
		}
		e.AwaitStatus("shrinks", 10, 4)
		e.Update("shrinks", func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 0 })
		e.AwaitStatus("shrinks", 0, 4)
		e.Await("only those at work are left", func(g gomega.Gomega) {
			g.Expect(podUIDs(e.Pods("shrinks"))).To(gomega.Equal(podUIDs(pods[:4])))
		})
		// When they end, nothing is left to pay for.
		for i := range 4 {
			e.Finish(&pods[i], 0)
		}
		e.AwaitStatus("shrinks", 0, 0)
		e.Await("no pod is left", func(g gomega.Gomega) { g.Expect(e.Pods("shrinks")).To(gomega.BeEmpty()) })
	})
}

// Defect 6: the Python operator looked every 10 seconds. Here nothing is looked at on its own but every hour.
func TestABusyPodIsReplacedThoughNothingIsPolled(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		e.Operator(func(c *config.Operator) { c.SyncInterval = time.Hour })
		e.Create(kit.Pool("busy").Idle(2).Layout(layout).Obj())
		e.AwaitStatus("busy", 2, 0)
		for busy := 1; busy <= 3; busy++ {
			e.Await("a pod is claimed", func(g gomega.Gomega) {
				for _, p := range e.Pods("busy") {
					if p.Annotations[v1alpha1.AnnotationBusy] == "" && e.Claim(&p) {
						return
					}
				}
				g.Expect("no pod").To(gomega.Equal("idle"))
			})
			e.AwaitStatus("busy", 2, busy)
		}
	})
}

// Defect 7: one error of the server left the rest of a batch uncreated for a minute. Here every third request fails, with
// answers of which none says that another try is useless.
func TestErrorsOfTheServerCostOneTry(t *testing.T) {
	for name, status := range map[string]int{"500": http.StatusInternalServerError, "429": http.StatusTooManyRequests, "409": http.StatusConflict} {
		t.Run(name, func(t *testing.T) {
			forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
				e := kit.New(t)
				history := e.History("tried")
				writesJobs := func(r *http.Request) bool {
					return r.Method != http.MethodGet && strings.Contains(r.URL.Path, "/jobs") && r.URL.Query().Get("dryRun") == ""
				}
				e.Through(kit.Fail(3, status, writesJobs)).Operator(func(c *config.Operator) { c.SyncInterval = time.Hour })
				e.Create(kit.Pool("tried").Idle(3).Layout(layout).Obj())
				e.AwaitStatus("tried", 3, 0)
				for _, idle := range []int32{8, 14, 20} {
					e.Update("tried", func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = idle })
					e.AwaitStatus("tried", int(idle), 0)
				}
				expectExactly(t, history, 20, jobsFor(layout, 20))
			})
		})
	}
}

// Defect 24: names that were too long for Jobs were accepted, and then refused on every sync.
func TestTheLongestNamesWork(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		longest := map[v1alpha1.Layout]int{v1alpha1.LayoutJobPerUnit: 55, v1alpha1.LayoutSharedJob: 49}[layout]
		e := kit.New(t)
		e.Operator()
		name := strings.Repeat("n", longest)
		e.Create(kit.Pool(name).Idle(2).Layout(layout).Obj())
		e.AwaitStatus(name, 2, 0)
		for _, p := range e.Pods(name) {
			if job := p.Labels[batchv1.JobNameLabel]; len(job) > 63 || len(p.Spec.Hostname) > 63 {
				t.Errorf("pod %s of Job %s has the hostname %q", p.Name, job, p.Spec.Hostname)
			}
		}
		longer := kit.Pool(name + "n").Layout(layout).Obj()
		longer.Namespace = e.Namespace
		err := e.Client.Create(t.Context(), longer)
		if err == nil || !strings.Contains(err.Error(), "at most") && !strings.Contains(err.Error(), "Too long") {
			t.Errorf("a name of one more character: %v, want that it is too long", err)
		}
	})
}
