// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

const (
	kills    = 50
	mostEver = 12 // maxReplicas is never set higher
)

// TestKilledOperators kills operators that run as processes of their own.
func TestKilledOperators(t *testing.T) {
	t.Parallel()
	program := kit.BuildOperator(t)
	t.Run("fifty times during changes", func(t *testing.T) { killDuringChanges(t, program) })
	t.Run("the leader", func(t *testing.T) { killTheLeader(t, program) })
	t.Run("gently", func(t *testing.T) { endTheLeader(t, program) })
}

// changes are what people and dispatchers do to pools, chosen at random.
type changes struct {
	e      *kit.Env
	random *rand.Rand
	pools  []string
}

// one makes a change to a pool.
func (c changes) one() {
	pool := c.pools[c.random.IntN(len(c.pools))]
	var idle, busy []corev1.Pod
	for _, p := range c.e.Pods(pool) {
		switch {
		case p.Annotations[v1alpha1.AnnotationBusy] == "true":
			busy = append(busy, p)
		case p.Labels[v1alpha1.LabelState] == string(v1alpha1.PodIdle):
			idle = append(idle, p)
		}
	}
	switch n := c.random.IntN(10); {
	case n < 3:
		c.e.Update(pool, func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = int32(c.random.IntN(8)) })
	case n < 4:
		c.e.Update(pool, func(s *v1alpha1.HotStandbyJobSpec) { s.MaxReplicas = new(int32(8 + c.random.IntN(mostEver-7))) })
	case n < 7 && len(idle) > 0 && len(busy) < 5:
		c.e.Claim(&idle[c.random.IntN(len(idle))])
	case n < 9 && len(busy) > 0:
		c.e.Finish(&busy[c.random.IntN(len(busy))], c.random.Int32N(2))
	}
}

// last makes the change after which all shall be quiet.
func (c changes) last(pool string) {
	c.e.Update(pool, func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget, s.MaxReplicas = 3, new(int32(mostEver)) })
}

func killDuringChanges(t *testing.T, program string) {
	e := kit.New(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := changes{e: e, random: rand.New(rand.NewPCG(seed, 0)), pools: []string{"jobs", "shared"}} //nolint:gosec // a test
	histories := map[string]*kit.History{}
	for i, pool := range c.pools {
		histories[pool] = e.History(pool)
		e.Guard(pool, 10*mostEver) // for the busy pods: units are counted by the histories
		e.Create(kit.Pool(pool).Idle(4).Max(mostEver).Delay(0).Layout(layouts[i]).Obj())
	}
	for range kills {
		live(e, program, c)
	}
	for _, pool := range c.pools {
		c.last(pool)
	}
	e.Start(program, "--leader-elect=false")
	for i, pool := range c.pools {
		settlesAsIfNothingHadHappened(t, e, pool, layouts[i])
		if most := histories[pool].Most(); most > mostEver {
			t.Errorf("pool %s had %d units at a time, at most %d may be", pool, most, mostEver)
		}
		t.Logf("pool %s: %d Jobs made in all, at most %d units at a time", pool, histories[pool].Made(), histories[pool].Most())
	}
}

// live lets an operator live for a while, changes things meanwhile, and kills it at a random moment: while it starts, or
// while it works.
func live(e *kit.Env, program string, c changes) {
	e.T.Helper()
	p := e.Start(program, "--leader-elect=false")
	defer p.Kill()
	if c.random.IntN(5) > 0 {
		e.Await("the operator works", func(g gomega.Gomega) { g.Expect(p.Log()).To(gomega.ContainSubstring("Starting workers")) })
	}
	end := time.After(time.Duration(c.random.IntN(1500)) * time.Millisecond)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-end:
			return
		case <-tick.C:
			c.one()
		}
	}
}

// settlesAsIfNothingHadHappened compares a pool with a new one of the same spec and as many busy pods.
func settlesAsIfNothingHadHappened(t *testing.T, e *kit.Env, pool string, layout v1alpha1.Layout) {
	t.Helper()
	busy := 0
	for _, p := range e.Pods(pool) {
		if p.Annotations[v1alpha1.AnnotationBusy] == "true" {
			busy++
		}
	}
	twin := pool + "-twin"
	e.Create(kit.Pool(twin).Idle(3).Max(mostEver).Delay(0).Layout(layout).Obj())
	e.AwaitStatus(twin, 3, 0)
	e.Await("as many are busy", func(g gomega.Gomega) {
		pods := e.Pods(twin)
		claimed := len(slices.DeleteFunc(slices.Clone(pods), func(p corev1.Pod) bool { return p.Annotations[v1alpha1.AnnotationBusy] == "" }))
		for i := range pods {
			if claimed < busy && pods[i].Annotations[v1alpha1.AnnotationBusy] == "" && e.Claim(&pods[i]) {
				claimed++
			}
		}
		g.Expect(claimed).To(gomega.Equal(busy))
	})
	e.AwaitStatus(twin, 3, busy)
	e.Await("pool "+pool+" is as its twin is", func(g gomega.Gomega) {
		g.Expect(cmp.Diff(outcome(e, twin), outcome(e, pool))).To(gomega.BeEmpty())
		g.Expect(e.Pods(pool)).To(gomega.HaveLen(3 + busy))
		nothingLeaks(e, g, pool)
	})
}

// outcome is what a pool has come to, without names and times and what is kept to look at.
func outcome(e *kit.Env, pool string) map[string]string {
	h := e.Get(pool)
	all := map[string]string{
		"units": fmt.Sprintf("idle %d, busy %d, starting %d, unknown %d, desired %d, running pods %d", h.Status.IdleCount,
			h.Status.BusyCount, h.Status.StartingCount, h.Status.UnknownCount, h.Status.DesiredActive, h.Status.ActiveCount),
		"observed": fmt.Sprint(h.Status.ObservedGeneration == h.Generation),
	}
	for _, c := range h.Status.Conditions {
		all[c.Type] = string(c.Status) + " " + c.Reason
	}
	return all
}

// nothingLeaks checks that each Job that goes on has pods, each pod a Job, and that few ended ones are left.
func nothingLeaks(e *kit.Env, g gomega.Gomega, pool string) {
	pods := map[string]int{}
	for _, p := range e.Pods(pool) {
		pods[p.Labels["batch.kubernetes.io/job-name"]]++
	}
	ended := 0
	for _, job := range e.Jobs(pool) {
		if len(job.Status.Conditions) > 0 {
			ended++
			continue
		}
		g.Expect(pods[job.Name]).To(gomega.BeNumerically(">", 0), "Job %s has no pods", job.Name)
		if job.Spec.BackoffLimitPerIndex == nil {
			g.Expect(pods[job.Name]).To(gomega.Equal(1), "pods of Job %s", job.Name)
		}
		delete(pods, job.Name)
	}
	g.Expect(pods).To(gomega.BeEmpty(), "pods without a Job")
	g.Expect(ended).To(gomega.BeNumerically("<=", 1+3), "ended Jobs, by their history limits")
}
