// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onsi/gomega"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// jobsFor is how many Jobs so many units are when they were made at once.
func jobsFor(layout v1alpha1.Layout, units int) int {
	if layout == v1alpha1.LayoutSharedJob {
		return 1
	}
	return units
}

// expectExactly checks that never more units lived, and never more Jobs were made, than that.
func expectExactly(t *testing.T, history *kit.History, units, jobs int) {
	t.Helper()
	if most := history.Most(); most != units {
		t.Errorf("%d units lived at a time, want %d", most, units)
	}
	if made := history.Made(); made != jobs {
		t.Errorf("%d Jobs were made, want %d", made, jobs)
	}
}

// Defect 2: the Python operator made up to twice the pool.
func TestLateWatchesMakeNoUnitTwice(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		history := e.History("late")
		e.Through(kit.LateWatches(300*time.Millisecond, "")).Operator()
		e.Create(kit.Pool("late").Idle(20).Layout(layout).Obj())
		e.AwaitStatus("late", 20, 0)
		expectExactly(t, history, 20, jobsFor(layout, 20))

		claimed := 0
		for _, p := range e.Pods("late") {
			if claimed < 5 && e.Claim(&p) {
				claimed++
			}
		}
		e.AwaitStatus("late", 20, claimed)
		expectExactly(t, history, 20+claimed, jobsFor(layout, 20+claimed))
	})
}

func TestLostAnswersMakeNoUnitTwice(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		history := e.History("lost")
		var lost atomic.Int64
		changesJobs := func(r *http.Request) bool {
			return r.Method != http.MethodGet && strings.Contains(r.URL.Path, "/jobs") && r.URL.Query().Get("dryRun") == ""
		}
		// What was made shows up late, so that the operator tries again without having seen it.
		e.Through(kit.LateWatches(time.Second, "/jobs")).Through(kit.LoseAnswers(2, changesJobs, &lost)).Operator()
		e.Create(kit.Pool("lost").Idle(1).Max(25).Layout(layout).Obj())
		e.AwaitStatus("lost", 1, 0)
		for _, idle := range []int32{2, 3, 4, 12, 20} { // one at a time, too: nothing else then tells that one was made
			e.Update("lost", func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = idle })
			e.AwaitStatus("lost", int(idle), 0)
		}
		expectExactly(t, history, 20, jobsFor(layout, 20))
		e.Update("lost", func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 2 })
		e.AwaitStatus("lost", 2, 0)
		e.Await("two pods are left", func(g gomega.Gomega) { g.Expect(e.Pods("lost")).To(gomega.HaveLen(2)) })
		if lost.Load() == 0 {
			t.Error("no answer was lost")
		}
		t.Logf("%d answers were lost", lost.Load())
	})
}

// fault keeps the operator from the server, and lets it go when its end is called.
type fault struct {
	name       string
	begin, end func(p *kit.Proxy)
}

func faults() []fault {
	return []fault{
		{"answers are held back", (*kit.Proxy).Deafen, (*kit.Proxy).Hear},
		{"answers are lost", (*kit.Proxy).Deafen, func(p *kit.Proxy) { p.Reset(); p.Hear() }},
		{"connections are refused", (*kit.Proxy).Refuse, (*kit.Proxy).Accept},
		{"connections break", (*kit.Proxy).Reset, func(*kit.Proxy) {}},
	}
}

// Each fault begins as soon as the first of several new Jobs is seen, so that others are on their way.
func TestServerOutOfReachMakesNoUnitTwice(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		history := e.History("cut")
		e.Guard("cut", 1000) // for the busy pods
		through, proxy := e.Proxied()
		through.Operator()
		e.Create(kit.Pool("cut").Idle(2).Max(40).Layout(layout).Obj())
		e.AwaitStatus("cut", 2, 0)
		idle, busy := 2, 0
		for _, f := range append(faults(), faults()...) {
			t.Log(f.name)
			before := places(e, "cut")
			idle += 3
			e.Update("cut", func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = int32(idle) })
			e.Await("it begins to make them", func(g gomega.Gomega) { g.Expect(places(e, "cut")).To(gomega.BeNumerically(">", before)) })
			f.begin(proxy)
			// Meanwhile somebody gets work, of which the operator can't know.
			for _, p := range e.Pods("cut") {
				if p.Annotations[v1alpha1.AnnotationBusy] == "" && e.Claim(&p) {
					busy++
					break
				}
			}
			f.end(proxy)
			e.AwaitStatus("cut", idle, busy)
			e.Await("there are as many pods", func(g gomega.Gomega) { g.Expect(e.Pods("cut")).To(gomega.HaveLen(idle + busy)) })
		}
		expectExactly(t, history, idle+busy, jobsFor(layout, idle+busy))
		e.Update("cut", func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 1 })
		proxy.Reset()
		e.AwaitStatus("cut", 1, busy)
	})
}
