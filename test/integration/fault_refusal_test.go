// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"
	"testing"

	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// trouble is what keeps a pool of 20 units on simulated nodes from having them.
type trouble struct {
	spec       func(*v1alpha1.HotStandbyJobSpec)
	begin, end func(e *kit.Env)

	condition, reason string
	words             []string // of whoever refuses, in the condition's message
	atOnce            bool     // the pool need not ask whether the trouble is over: it sees so
	jobs              map[v1alpha1.Layout]int
	done              func(e *kit.Env, g gomega.Gomega) // the cluster has done all that it will while the trouble lasts
}

const (
	troubled = "troubled" // the name of the pool
	wanted   = 20
)

// troubles are those that come from outside of the pods.
func troubles() map[string]trouble {
	nothing := func(*kit.Env, gomega.Gomega) {}
	none := map[v1alpha1.Layout]int{}
	return map[string]trouble{
		"a quota of 5 pods": {
			begin:     func(e *kit.Env) { quota(e, corev1.ResourcePods, 5) },
			end:       func(e *kit.Env) { quota(e, corev1.ResourcePods, wanted) }, // and not one more
			condition: v1alpha1.ConditionDegraded, reason: "PodsRefused", words: []string{"exceeded quota: few", "limited: pods=5"}, atOnce: true,
			jobs: map[v1alpha1.Layout]int{v1alpha1.LayoutJobPerUnit: wanted, v1alpha1.LayoutSharedJob: 1},
			done: func(e *kit.Env, g gomega.Gomega) {
				g.Expect(running(e, troubled)).To(gomega.Equal(min(5, places(e, troubled))))
			},
		},
		"a missing ServiceAccount": {
			spec: func(s *v1alpha1.HotStandbyJobSpec) { s.JobTemplate.Template.Spec.ServiceAccountName = "nobody" },
			end: func(e *kit.Env) {
				e.Create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "nobody"}})
			},
			condition: v1alpha1.ConditionDegraded, reason: "Refused", words: []string{`serviceaccount "nobody" not found`},
			jobs: none, done: nothing,
		},
		"a namespace that restricts pods": {
			begin:     func(e *kit.Env) { restrict(e, "restricted") },
			end:       func(e *kit.Env) { restrict(e, "privileged") },
			condition: v1alpha1.ConditionDegraded, reason: "Refused",
			words: []string{`violates PodSecurity "restricted:latest"`, "allowPrivilegeEscalation"},
			jobs:  none, done: nothing,
		},
	}
}

// quota lets a namespace have so many objects of a kind, and no more.
func quota(e *kit.Env, of corev1.ResourceName, n int64) {
	e.T.Helper()
	want := corev1.ResourceList{of: *resource.NewQuantity(n, resource.DecimalSI)}
	q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "few", Namespace: e.Namespace}}
	_, err := controllerutil.CreateOrUpdate(e.T.Context(), e.Client, q, func() error {
		q.Spec.Hard = want
		return nil
	})
	if err != nil {
		e.T.Fatalf("set a quota: %v", err)
	}
	e.Await("the quota is in force", func(g gomega.Gomega) {
		g.Expect(e.Client.Get(e.T.Context(), client.ObjectKeyFromObject(q), q)).To(gomega.Succeed())
		hard := q.Status.Hard[of]
		g.Expect(hard.Value()).To(gomega.Equal(n))
	})
}

func restrict(e *kit.Env, level string) {
	e.T.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: e.Namespace}}
	patch := `{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"` + level + `"}}}`
	if err := e.Client.Patch(e.T.Context(), namespace, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		e.T.Fatalf("label the namespace: %v", err)
	}
}

// running is how many of a pool's pods run.
func running(e *kit.Env, pool string) int {
	n := 0
	for _, p := range e.Pods(pool) {
		if kit.Running(&p) {
			n++
		}
	}
	return n
}

// places is how many pods a pool's Jobs shall have in all.
func places(e *kit.Env, pool string) int {
	n := 0
	for _, job := range e.Jobs(pool) {
		n += int(*job.Spec.Completions)
	}
	return n
}

func hasCondition(job batchv1.Job, conditionType batchv1.JobConditionType) bool {
	for _, c := range job.Status.Conditions {
		if c.Type == conditionType && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

// expectCondition checks that a pool says what troubles it.
func expectCondition(g gomega.Gomega, h *v1alpha1.HotStandbyJob, conditionType, status, reason string, words ...string) {
	c := meta.FindStatusCondition(h.Status.Conditions, conditionType)
	g.Expect(c).NotTo(gomega.BeNil(), conditionType)
	g.Expect(string(c.Status)+" "+c.Reason).To(gomega.Equal(status+" "+reason), c.Message)
	for _, word := range words {
		g.Expect(c.Message).To(gomega.ContainSubstring(word))
	}
	g.Expect(c.ObservedGeneration).To(gomega.Equal(h.Generation))
}

// expectHealthy checks that a pool has its idle units and nothing to complain about.
func expectHealthy(g gomega.Gomega, h *v1alpha1.HotStandbyJob, idle int) {
	g.Expect(int(h.Status.IdleCount)).To(gomega.Equal(idle), "idle units")
	expectCondition(g, h, v1alpha1.ConditionReady, "True", "IdleTargetMet")
	expectCondition(g, h, v1alpha1.ConditionDegraded, "False", "AsExpected")
}

func (tr trouble) pool(layout v1alpha1.Layout) *v1alpha1.HotStandbyJob {
	b := kit.Pool(troubled).Idle(wanted).Max(wanted + 5).Layout(layout)
	if tr.spec != nil {
		b.With(tr.spec)
	}
	return b.Obj()
}

// Jobs are made once and not again and again; the pool says why it isn't ready; and it is when the cause is gone.
func TestTroubleMakesFewJobsAndIsSaidAndEnds(t *testing.T) {
	t.Parallel()
	for name, tr := range troubles() {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
				e := kit.New(t)
				if tr.begin != nil {
					tr.begin(e)
				}
				e.Guard(troubled, wanted)
				history := e.History(troubled)
				e.Operator()
				e.Create(tr.pool(layout))
				e.Await("the pool says what is wrong", func(g gomega.Gomega) {
					expectCondition(g, e.Get(troubled), tr.condition, "True", tr.reason, tr.words...)
					expectCondition(g, e.Get(troubled), v1alpha1.ConditionReady, "False", tr.reason, tr.words...)
					tr.done(e, g)
				})
				if made := history.Made(); made != tr.jobs[layout] {
					t.Errorf("%d Jobs were made, want %d", made, tr.jobs[layout])
				}
				tr.end(e)
				e.Await("it recovers by itself", func(g gomega.Gomega) { expectHealthy(g, e.Get(troubled), wanted) })
			})
		})
	}
}
