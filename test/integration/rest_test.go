// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// window is how long an operator at rest is watched.
const window = 10 * time.Second

// Defects 12 and 26: the Python operator sent six requests per pool and sync, for ever, and two more for each pod whose
// command it ran.
func TestAnOperatorAtRestSendsNoRequests(t *testing.T) {
	t.Parallel()
	for name, pools := range map[string][]*kit.PoolBuilder{
		"annotation": {
			kit.Pool("per-unit").Idle(10).Min(3).Max(30),
			kit.Pool("shared").Idle(10).Layout(v1alpha1.LayoutSharedJob),
			kit.Pool("two").Idle(4).Parallelism(2),
			kit.Pool("limited").Idle(5).Max(3),
			kit.Pool("none").Idle(0),
			kit.Pool("suspended").Idle(3).With(func(s *v1alpha1.HotStandbyJobSpec) { s.JobTemplate.Suspend = new(true) }),
			kit.Pool("paused").Idle(3).With(func(s *v1alpha1.HotStandbyJobSpec) { s.Paused = true }),
		},
		"exec by the kubelet": {kit.Pool("kubelet").Idle(3).Real("run").Probe(v1alpha1.BusyProbe{
			Mode: v1alpha1.BusyByExec,
			Exec: &v1alpha1.ExecProbe{Command: []string{"/worker", "no-such-command"}, PeriodSeconds: 1, TimeoutSeconds: 30},
		})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := kit.New(t)
			if pools[0].Obj().Spec.BusyProbe.Mode == v1alpha1.BusyByExec && !e.Lab.HasNode() {
				t.Skip("the kubelet's probes need a real node: see `lab up --node`")
			}
			requests := &kit.Requests{}
			e.Through(requests.Wrap).Operator()
			for _, b := range pools {
				e.Create(b.Obj())
			}
			for _, b := range pools {
				e.Await("pool "+b.Obj().Name+" has come as far as it will", func(g gomega.Gomega) {
					g.Expect(kit.ConditionStatus(e.Get(b.Obj().Name), v1alpha1.ConditionProgressing)).To(gomega.Equal("False"))
				})
			}
			// At rest is when nothing was sent for as long as any of its delays: the pools' own, and that before it asks
			// why a unit has no pods.
			quiet := quietFor(e, requests, 8*time.Second)
			for _, b := range pools {
				h := e.Get(b.Obj().Name)
				gomega.NewWithT(t).Expect(h.Status.ObservedGeneration).To(gomega.Equal(h.Generation), h.Name)
			}
			<-time.After(window) // the time itself is what is looked at
			if sent := requests.Seen(quiet); len(sent) > 0 {
				t.Errorf("at rest the operator sent %d requests in %s:\n%q", len(sent), window, sent)
			}
		})
	}
}

// quietFor waits until no request was sent for a while, and returns how many were sent till then.
func quietFor(e *kit.Env, requests *kit.Requests, d time.Duration) int {
	e.T.Helper()
	count, since := -1, time.Time{}
	e.Await("the operator comes to rest", func(g gomega.Gomega) {
		if n := requests.Count(); n != count {
			count, since = n, time.Now()
		}
		g.Expect(count).To(gomega.BeNumerically(">", 0))
		g.Expect(time.Since(since)).To(gomega.BeNumerically(">", d))
	})
	return count
}

// Defects 1 and 26: status is stored, and written only when something of it has changed but the time.
func TestStatusIsWrittenOnlyWhenItChanges(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		list := &v1alpha1.HotStandbyJobList{}
		w, err := e.Client.Watch(context.WithoutCancel(t.Context()), list, client.InNamespace(e.Namespace))
		if err != nil {
			t.Fatal(err)
		}
		e.Operator()
		e.Create(kit.Pool("told").Idle(6).Layout(layout).Obj())
		e.AwaitStatus("told", 6, 0)
		for _, p := range e.Pods("told")[:3] {
			e.Annotate(&p, "true")
		}
		e.AwaitStatus("told", 6, 3)
		e.Update("told", func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 2 })
		e.AwaitStatus("told", 2, 3)
		w.Stop()

		var before *v1alpha1.HotStandbyJob
		for event := range w.ResultChan() {
			h, ok := event.Object.(*v1alpha1.HotStandbyJob)
			if !ok {
				t.Fatalf("watch: %v", event.Object)
			}
			if before != nil && before.Generation == h.Generation {
				was, is := before.Status.DeepCopy(), h.Status.DeepCopy()
				was.LastSyncTime, is.LastSyncTime = nil, nil
				if equality.Semantic.DeepEqual(was, is) {
					t.Errorf("the status was written without a change, version %s:\n%s", h.ResourceVersion, cmp.Diff(before, h))
				}
			}
			before = h
		}
	})
}

func TestLastSyncTimeHasMicroseconds(t *testing.T) {
	t.Parallel()
	e := kit.New(t)
	e.Operator()
	e.Create(kit.Pool("told").Idle(1).Obj())
	e.AwaitStatus("told", 1, 0)
	raw := &unstructured.Unstructured{}
	raw.SetGroupVersionKind(v1alpha1.SchemeGroupVersion.WithKind("HotStandbyJob"))
	if err := e.Client.Get(t.Context(), client.ObjectKey{Namespace: e.Namespace, Name: "told"}, raw); err != nil {
		t.Fatal(err)
	}
	text, _, err := unstructured.NestedString(raw.Object, "status", "lastSyncTime")
	if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$`).MatchString(text) {
		t.Errorf("lastSyncTime is %q (%v), want RFC 3339 in UTC with microseconds", text, err)
	}
}
