// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

const kopfFinalizer = "kopf.zalando.org/KopfFinalizerMarker"

// left is a pool as the Python operator left it: with its finalizer, its annotations and a status that says nothing
// true. It selects by a label, as its users' manifests do.
func left(name string, idle int) *v1alpha1.HotStandbyJob {
	h := kit.Pool(name).Idle(idle).Max(20).With(func(s *v1alpha1.HotStandbyJobSpec) {
		s.Selector = &v1alpha1.Selector{MatchLabels: map[string]string{"app": "game-worker"}}
		s.JobTemplate.Template.Labels = map[string]string{"app": "game-worker"}
	}).Obj()
	h.Finalizers = []string{kopfFinalizer, "example.com/somebody-elses"}
	h.Annotations = map[string]string{
		"kopf.zalando.org/last-handled-configuration": `{"spec":{"idleTarget":3}}`,
		"kopf.zalando.org/reconcile":                  `{"started":"2024-01-01T00:00:00","retries":7,"success":false,"failure":false}`,
		"kopf.zalando.org/touch-dummy":                "2024-01-01T00:00:00",
		"example.com/mine":                            "stays",
	}
	return h
}

// bogus writes a status that is wrong in everything.
func bogus(e *kit.Env, name string) {
	e.T.Helper()
	patch := `{"status":{"busyCount":77,"idleCount":88,"childJobs":99,"observedGeneration":66,"desiredActive":55}}`
	h := e.Get(name)
	if err := e.Client.Status().Patch(e.T.Context(), h, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		e.T.Fatalf("write a bogus status: %v", err)
	}
}

// pythonJob is a Job as one of the two Python operators made it.
func pythonJob(h *v1alpha1.HotStandbyJob, name string, parallelism int32, podLabels map[string]string) *batchv1.Job {
	template := h.Spec.JobTemplate.Template.DeepCopy()
	template.Labels = podLabels
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{v1alpha1.LabelName: h.Name},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "apps.paia.tech/v1alpha1", Kind: "HotStandbyJob", Name: h.Name, UID: h.UID,
				Controller: new(true), BlockOwnerDeletion: new(true),
			}},
		},
		Spec: batchv1.JobSpec{
			Parallelism: &parallelism, Completions: &parallelism, BackoffLimit: new(int32(0)), Template: *template,
		},
	}
}

// podsOfJobs are the living pods of Jobs, however they are labelled.
func podsOfJobs(e *kit.Env) []corev1.Pod {
	e.T.Helper()
	var list corev1.PodList
	if err := e.Client.List(e.T.Context(), &list, client.InNamespace(e.Namespace), client.HasLabels{batchv1.JobNameLabel}); err != nil {
		e.T.Fatalf("list pods: %v", err)
	}
	return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return !kit.Live(&p) })
}

func uidsOf[T any](objects []T, uid func(*T) types.UID) []types.UID {
	var all []types.UID
	for i := range objects {
		all = append(all, uid(&objects[i]))
	}
	slices.Sort(all)
	return all
}

func jobUIDs(jobs []batchv1.Job) []types.UID {
	return uidsOf(jobs, func(j *batchv1.Job) types.UID { return j.UID })
}

func podUIDs(pods []corev1.Pod) []types.UID {
	return uidsOf(pods, func(p *corev1.Pod) types.UID { return p.UID })
}

// Variants of the Python operator. The second gave units as many pods as the template said, and no label to its pods.
func TestTakeoverKeepsWhatThePythonOperatorMade(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]struct {
		jobName     func(i int) string
		parallelism int32
		labelled    bool
	}{
		"one Job per slot": {func(i int) string { return fmt.Sprintf("games-w-ab%03d", i) }, 1, true},
		"main, one pod":    {func(i int) string { return fmt.Sprintf("games-workload-%d", i) }, 1, false},
		"main, two pods":   {func(i int) string { return fmt.Sprintf("games-workload-%d", i) }, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := kit.New(t)
			h := left("games", 3)
			h.Spec.JobTemplate.Parallelism = &v.parallelism
			e.Create(h)
			t.Cleanup(func() { release(e, "games") })
			bogus(e, "games")
			labels := map[string]string{"app": "game-worker"}
			if v.labelled {
				labels[v1alpha1.LabelName] = "games"
			}
			history := e.History("games")
			e.Guard("games", 5)
			for i := range 5 {
				e.Create(pythonJob(h, v.jobName(i), v.parallelism, labels))
			}
			e.Await("its pods run", func(g gomega.Gomega) {
				pods := podsOfJobs(e)
				g.Expect(pods).To(gomega.HaveLen(5 * int(v.parallelism)))
				for i := range pods {
					g.Expect(kit.Running(&pods[i])).To(gomega.BeTrue())
				}
			})
			jobs, pods := jobUIDs(e.Jobs("games")), podUIDs(podsOfJobs(e))
			busy := map[string]bool{}
			for _, p := range podsOfJobs(e) {
				if job := p.Labels[batchv1.JobNameLabel]; len(busy) < 2 && !busy[job] {
					e.Annotate(&p, "True")
					busy[job] = true
				}
			}

			e.Operator()
			e.AwaitStatus("games", 3, 2)
			e.Await("nothing of kopf's is left", func(g gomega.Gomega) { expectReleased(g, e.Get("games")) })
			g := gomega.NewWithT(t)
			g.Expect(jobUIDs(e.Jobs("games"))).To(gomega.Equal(jobs), "Jobs before and after")
			g.Expect(podUIDs(podsOfJobs(e))).To(gomega.Equal(pods), "pods before and after")
			status := e.Get("games").Status
			g.Expect([]int32{status.ChildJobs, status.ActiveJobs, status.ActiveCount, status.DesiredActive}).
				To(gomega.Equal([]int32{5, 5, 5 * v.parallelism, 5}), "Jobs, active Jobs, pods, desired")

			// From here on it is a pool as any other: idle Jobs of then are retired, and busy ones are not.
			e.Update("games", func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 1 })
			e.AwaitStatus("games", 1, 2)
			e.Await("three Jobs are left", func(g gomega.Gomega) { g.Expect(e.Jobs("games")).To(gomega.HaveLen(3)) })
			if made := history.Made(); made != 5 {
				t.Errorf("%d Jobs were made, want none but the 5 that were there", made)
			}
		})
	}
}

func expectReleased(g gomega.Gomega, h *v1alpha1.HotStandbyJob) {
	g.Expect(h.Finalizers).To(gomega.Equal([]string{"example.com/somebody-elses"}))
	g.Expect(h.Annotations).To(gomega.Equal(map[string]string{"example.com/mine": "stays"}))
}

// release removes the finalizer that isn't kopf's, so that the namespace can go.
func release(e *kit.Env, name string) {
	e.T.Helper()
	h := &v1alpha1.HotStandbyJob{ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: name}}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	err := e.Client.Patch(context.WithoutCancel(e.T.Context()), h, patch)
	if client.IgnoreNotFound(err) != nil {
		e.T.Errorf("remove the finalizers of %s: %v", name, err)
	}
}

// The second variant's pods aren't labelled: one that its Job makes again is found all the same.
func TestTakeoverFindsPodsThatAreMadeLater(t *testing.T) {
	t.Parallel()
	e := kit.New(t)
	h := left("games", 1)
	h.Spec.JobTemplate.Parallelism = new(int32(2))
	e.Create(h)
	t.Cleanup(func() { release(e, "games") })
	job := pythonJob(h, "games-workload-0", 2, map[string]string{"app": "game-worker"})
	job.Spec.BackoffLimit = new(int32(6))
	e.Create(job)
	e.Operator()
	e.AwaitStatus("games", 1, 0)
	lost := podsOfJobs(e)[0]
	if err := e.Client.Delete(t.Context(), &lost); err != nil {
		t.Fatal(err)
	}
	e.Await("the Job has made another pod, which is the pool's", func(g gomega.Gomega) {
		pods := e.Pods("games")
		g.Expect(pods).To(gomega.HaveLen(2))
		g.Expect(podUIDs(pods)).NotTo(gomega.ContainElement(lost.UID))
	})
	e.AwaitStatus("games", 1, 0)
	if jobs := e.Jobs("games"); len(jobs) != 1 || jobs[0].UID != job.UID {
		t.Errorf("the Jobs are %v, want the one that was there", jobUIDs(jobs))
	}
}

// Defect 27: with the Python operator gone its finalizer kept pools from ever being deleted.
func TestTakeoverLetsPoolsGoThatWereDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	e := kit.New(t)
	h := left("games", 2)
	h.Finalizers = []string{kopfFinalizer}
	e.Create(h)
	e.Create(pythonJob(h, "games-w-aaaaa", 1, map[string]string{"app": "game-worker", v1alpha1.LabelName: "games"}))
	e.Delete(&v1alpha1.HotStandbyJob{}, "games")
	if e.Get("games").DeletionTimestamp == nil {
		t.Fatal("the pool isn't being deleted")
	}
	e.Operator()
	e.Await("the pool and its Jobs are gone", func(g gomega.Gomega) {
		err := e.Client.Get(t.Context(), client.ObjectKey{Namespace: e.Namespace, Name: "games"}, &v1alpha1.HotStandbyJob{})
		g.Expect(err).To(gomega.HaveOccurred())
		g.Expect(client.IgnoreNotFound(err)).To(gomega.Succeed())
		g.Expect(e.Jobs("games")).To(gomega.BeEmpty())
	})
}
