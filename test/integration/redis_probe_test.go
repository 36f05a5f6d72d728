// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"testing"
	"time"

	"github.com/onsi/gomega"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/condition"
	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

func TestRedisEntriesSayWhatPodsDo(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e, s := kit.New(t), newRedis(t)
		e.Operator()
		e.Guard("entries", 8)
		e.Create(s.pool("entries", layout).Idle(4).Max(8).Obj())
		e.Await("pods that have not registered are starting", func(g gomega.Gomega) {
			g.Expect(e.Get("entries").Status.StartingCount).To(gomega.Equal(int32(4)))
			for _, p := range e.Pods("entries") {
				g.Expect(kit.Running(&p)).To(gomega.BeTrue())
			}
		})
		pods := inOrder(e, "entries")
		s.say(&pods[0], "starting")
		s.say(&pods[1], "idle")
		s.say(&pods[2], "idle")
		e.AwaitStatus("entries", 2, 0)
		s.say(&pods[0], "idle")
		s.say(&pods[3], "idle")
		e.AwaitStatus("entries", 4, 0)
		s.say(&pods[1], "busy")
		s.say(&pods[3], "busy")
		s.awaitStatus(e, "entries", 4, 2)
		s.say(&pods[3], "idle")
		s.awaitStatus(e, "entries", 4, 1)
		awaitPods(e, "entries", 5)
		mustLive(e, "entries", pods[1])
	})
}

func TestRedisServerOfTheOperatorsEnvironment(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e, s := kit.New(t), newRedis(t, "--requirepass", "of the operator")
		e.Operator(func(c *config.Operator) {
			c.Redis.Host, c.Redis.Port, c.Redis.Password = "127.0.0.1", s.port, "of the operator"
		})
		e.Create(kit.Pool("ours").Idle(2).Layout(layout).Probe(v1alpha1.BusyProbe{Mode: v1alpha1.BusyByRedis}).Obj())
		s.awaitStatus(e, "ours", 2, 0)
		s.say(&e.Pods("ours")[0], "busy")
		s.awaitStatus(e, "ours", 2, 1)
	})
}

// Defect 18: an outage was read as "nothing is busy".
func TestRedisOutageFreezesThePool(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e, s := kit.New(t), newRedis(t)
		e.Operator()
		e.Guard("outage", 5)
		e.Create(s.pool("outage", layout).Idle(4).Obj())
		s.awaitStatus(e, "outage", 4, 0)
		busy := inOrder(e, "outage")[2]
		s.say(&busy, "busy")
		s.awaitStatus(e, "outage", 4, 1)

		s.kill()
		awaitDegraded(e, "outage", condition.ReasonSignalUnknown, "redis "+s.address())
		awaitUnknown(e, "outage", 5)
		e.AwaitStatus("outage", 0, 1) // it was busy when it was last heard of
		mustStay(e, "outage")
		idleTarget(e, "outage", 0)
		mustStay(e, "outage")

		s.start() // with nothing in it
		awaitDegraded(e, "outage", condition.ReasonSignalUnknown, "entry is gone")
		mustStay(e, "outage")

		s.say(&busy, "busy")
		s.awaitStatus(e, "outage", 0, 1)
		awaitPods(e, "outage", 1)
		mustLive(e, "outage", busy)
		e.Await("nothing is wrong", func(g gomega.Gomega) {
			g.Expect(kit.ConditionStatus(e.Get("outage"), v1alpha1.ConditionDegraded)).To(gomega.Equal("False"))
		})
	})
}

// Defect 18: without Redis at its start the operator fell back to annotations, for good.
func TestRedisThatIsAwayWhenTheOperatorStarts(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e, s := kit.New(t), newRedis(t)
		stop := e.Operator()
		e.Guard("away", 3)
		e.Create(s.pool("away", layout).Idle(2).Obj())
		s.awaitStatus(e, "away", 2, 0)
		busy := inOrder(e, "away")[0]
		s.say(&busy, "busy")
		s.awaitStatus(e, "away", 2, 1)
		stop()
		s.kill()
		idleTarget(e, "away", 0)

		e.Operator()
		awaitUnknown(e, "away", 3)
		e.AwaitStatus("away", 0, 1)
		mustStay(e, "away")
		s.start() // the operator has not heard of any pod: none is starting again by that
		awaitDegraded(e, "away", condition.ReasonSignalUnknown, "it was warm, and now reports that it is starting")
		mustStay(e, "away")
		s.say(&busy, "busy")
		s.awaitStatus(e, "away", 0, 1)
		awaitPods(e, "away", 1)
		mustLive(e, "away", busy)
	})
}

// Defect 19: a pod that hung stayed what it had once said.
func TestStaleRedisEntriesAreUnknown(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e, s := kit.New(t), newRedis(t)
		e.Operator()
		e.Guard("stale", 3)
		e.Create(s.pool("stale", layout).Idle(3).Obj())
		s.awaitStatus(e, "stale", 3, 0)
		pods := inOrder(e, "stale")
		s.write(&pods[1], entryAt("idle", time.Now().Add(-time.Hour)))
		awaitDegraded(e, "stale", condition.ReasonSignalUnknown, "stale")
		idleTarget(e, "stale", 0)
		e.AwaitStatus("stale", 0, 0)
		awaitPods(e, "stale", 1)
		mustLive(e, "stale", pods[1])
		mustStay(e, "stale")
		s.say(&pods[1], "idle")
		awaitPods(e, "stale", 0)
	})
}

// Defect 20: one malformed value made the whole sync fail.
func TestMalformedRedisEntriesConcernOnlyTheirPods(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e, s := kit.New(t), newRedis(t)
		e.Operator()
		e.Create(s.pool("malformed", layout).Idle(8).Obj())
		s.awaitStatus(e, "malformed", 8, 0)
		pods := inOrder(e, "malformed")
		malformed := []string{`"idle"`, `["idle"]`, `7`, `idle`, ``, `null`, `{"status": 5, "updated_at": 1}`}
		for i, entry := range malformed {
			s.write(&pods[i], entry)
		}
		awaitUnknown(e, "malformed", len(malformed))
		awaitDegraded(e, "malformed", condition.ReasonSignalUnknown, "the pod's entry")
		s.say(&pods[7], "busy")
		s.awaitStatus(e, "malformed", 1, 1) // the unknown ones count as what they were, so that nothing is made for them
		awaitPods(e, "malformed", 9)
		idleTarget(e, "malformed", 0)
		e.AwaitStatus("malformed", 0, 1)
		awaitPods(e, "malformed", 8)
		mustLive(e, "malformed", pods...)
		for i := range malformed {
			s.say(&pods[i], "idle")
		}
		awaitPods(e, "malformed", 1)
	})
}

// Defect 20: pods that said that they can't work held their places for ever.
func TestPodsThatReportAnErrorAreReplaced(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e, s := kit.New(t), newRedis(t)
		e.Operator()
		e.Guard("error", 4)
		e.Create(s.pool("error", layout).Idle(3).Max(4).Obj())
		s.awaitStatus(e, "error", 3, 0)
		pods := inOrder(e, "error")
		s.say(&pods[1], "error")
		awaitDegraded(e, "error", condition.ReasonUnitsFailing, "")
		s.awaitStatus(e, "error", 3, 0)
		awaitPods(e, "error", 3)
		mustLive(e, "error", pods[0], pods[2])
	})
}
