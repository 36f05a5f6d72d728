// SPDX-License-Identifier: Apache-2.0

package launch

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

func TestAPodOfALaunch(t *testing.T) {
	alpine := func(j *batchv1.Job) { j.Spec.Template.Spec.Containers[0].Image = "alpine" }
	for name, tc := range map[string]struct {
		pool   Pool
		named  string // the pool that the Job names
		idle   int
		change func(*batchv1.Job)
		start  string
		reason string
		said   string
		err    error
	}{
		"is an idle one":                    {pool: pushPool(""), named: "game", idle: 1, start: "warm"},
		"is made if none is idle":           {pool: pushPool(v1alpha1.WhenEmptyColdStart), named: "game", start: "cold", reason: coldNoneIdle, said: "no pod of pool game is idle"},
		"is made if there is no pool":       {named: "gone", start: "cold", reason: coldNoPool, said: "there is no HotStandbyJob gone"},
		"is made if the pool isn't Push":    {pool: Pool{}, named: "game", start: "cold", reason: coldNotPush, said: "isn't Push"},
		"is waited for if the pool says so": {pool: pushPool(v1alpha1.WhenEmptyWait), named: "game", err: errWaits, said: "Jobs before it: 0"},
		"is refused if the pool says so":    {pool: pushPool(v1alpha1.WhenEmptyReject), named: "game", err: errRejected, said: "Warning PoolEmpty"},
		"is made if it is to differ, whatever the pool says": {
			pool: pushPool(v1alpha1.WhenEmptyReject), named: "game", idle: 1, change: alpine, start: "cold",
			reason: "spec.template.spec.containers[worker].image differs from the pool's",
			said:   `spec.template.spec.containers[worker].image differs from pool game: the pool has "busybox", the Job "alpine"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, tc.pool, tc.idle)
			job := r.job("job", 1, func(j *batchv1.Job) {
				j.Labels[v1alpha1.LabelPool] = tc.named
				j.Spec.Template.Labels[v1alpha1.LabelState] = "mine"
				if tc.change != nil {
					tc.change(j)
				}
			})
			pod, err := r.want(job)
			again, _ := r.want(job)
			if !errors.Is(err, tc.err) {
				t.Fatalf("create: %v, want %v", err, tc.err)
			}
			said := strings.Join(r.said(), "\n")
			if !strings.Contains(said, tc.said) || tc.said == "" && tc.idle == 0 || strings.Contains(said, "\n") && tc.idle == 0 {
				t.Errorf("it was said %q, want once %q", said, tc.said)
			}
			if tc.err != nil {
				return
			}
			if pod == nil || again == nil && tc.start == "cold" {
				t.Fatal("there is no pod")
			}
			got := []string{
				pod.Labels[v1alpha1.LabelLaunch], pod.Annotations[v1alpha1.AnnotationStart], pod.Annotations[v1alpha1.AnnotationColdReason],
				pod.Labels[v1alpha1.LabelState], pod.Labels[batchv1.ControllerUidLabel], pod.Finalizers[0], string(pod.OwnerReferences[0].UID),
			}
			want := []string{tc.named, tc.start, tc.reason, "", "job", batchv1.JobTrackingFinalizer, "job"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("pod (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAClaimThatFailsIsNoColdStart(t *testing.T) {
	r := newRig(t, pushPool(""), 1)
	r.registry.fail = errors.New("the server is gone")
	job := r.job("job", 1)
	if _, err := r.want(job); !errors.Is(err, r.registry.fail) {
		t.Fatalf("create: %v", err)
	}
	if r.registry.idle != 1 {
		t.Errorf("%d pods are idle after a claim that failed, want 1", r.registry.idle)
	}
	r.registry.fail = nil
	if pod, err := r.want(job); err != nil || pod.Annotations[v1alpha1.AnnotationStart] != "warm" {
		t.Errorf("the next one: %v, %v", pod, err)
	}
}

func TestNobodyOvertakes(t *testing.T) {
	r := newRig(t, pushPool(v1alpha1.WhenEmptyWait), 0)
	a, b, c := r.job("a", 1), r.job("b", 1), r.job("c", 1, annotated(v1alpha1.AnnotationPriority, "5"))
	for _, job := range []*batchv1.Job{a, b} {
		if _, err := r.want(job); !errors.Is(err, errWaits) {
			t.Fatal(err)
		}
	}
	r.registry.add(1)
	if diff := cmp.Diff([]string{"a"}, r.woken); diff != "" {
		t.Errorf("woken (-want +got):\n%s", diff)
	}
	if _, err := r.want(b); !errors.Is(err, errWaits) {
		t.Error("b overtook a")
	}
	if _, err := r.want(c); err != nil {
		t.Errorf("c is more important than those that wait: %v", err)
	}
	r.registry.add(2)
	for _, job := range []*batchv1.Job{b, a} { // in any order: there is enough for both
		if _, err := r.want(job); err != nil {
			t.Errorf("%s: %v", job.Name, err)
		}
	}
	if n := r.Waiting(game); n != 0 || len(r.queues) != 0 {
		t.Errorf("%d pods are still waited for: %v", n, r.queues)
	}
}

func TestAJobLeavesTheQueueWithItsReason(t *testing.T) {
	for name, leave := range map[string]func(*rig, *batchv1.Job){
		"deleted":   func(r *rig, j *batchv1.Job) { r.drop(j.UID) },
		"suspended": func(r *rig, j *batchv1.Job) { j.Spec.Suspend = new(true); r.observeJob(j) },
		"finished": func(r *rig, j *batchv1.Job) {
			j.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue}}
			r.observeJob(j)
		},
		"scaled down":       func(r *rig, j *batchv1.Job) { j.Spec.Parallelism = new(int32(0)); r.observeJob(j) },
		"managed otherwise": func(r *rig, j *batchv1.Job) { j.Spec.ManagedBy = new(notOurs); r.observeJob(j) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, pushPool(v1alpha1.WhenEmptyWait), 1)
			a, b := r.job("a", 2, annotated(v1alpha1.AnnotationGang, "true")), r.job("b", 1)
			for _, job := range []*batchv1.Job{a, b} { // one pod is idle, but a is first and takes two at once
				if _, err := r.want(job); !errors.Is(err, errWaits) {
					t.Fatal(err)
				}
			}
			leave(r, a)
			if diff := cmp.Diff([]string{"b"}, r.woken); diff != "" {
				t.Errorf("woken (-want +got):\n%s", diff)
			}
			if _, err := r.want(b); err != nil {
				t.Errorf("b still waits: %v", err)
			}
		})
	}
}

func TestAGangTakesAllOrNone(t *testing.T) {
	gang := annotated(v1alpha1.AnnotationGang, "true")
	r := newRig(t, pushPool(""), 3)
	small, large := r.job("small", 2, gang), r.job("large", 2, gang)
	for range 2 {
		if pod, err := r.want(small); err != nil || pod.Annotations[v1alpha1.AnnotationStart] != "warm" {
			t.Fatalf("small: %v %v", pod, err)
		}
	}
	if pod, err := r.want(large); err != nil || pod.Annotations[v1alpha1.AnnotationStart] != "cold" {
		t.Fatalf("large: %v %v", pod, err)
	}
	r.registry.add(5)
	if pod, err := r.want(large); err != nil || pod.Annotations[v1alpha1.AnnotationStart] != "cold" {
		t.Errorf("the rest of a cold gang: %v %v", pod, err)
	}
}

func TestAGangsPromiseIsKeptAndGivenBack(t *testing.T) {
	gang := annotated(v1alpha1.AnnotationGang, "true")
	r := newRig(t, pushPool(v1alpha1.WhenEmptyWait), 3)
	a, b := r.job("a", 3, gang), r.job("b", 1)
	if _, err := r.want(a); err != nil {
		t.Fatal(err)
	}
	if _, err := r.want(b); !errors.Is(err, errWaits) {
		t.Error("b took what was promised to a")
	}
	r.registry.fail = errors.New("the server is gone")
	if _, err := r.want(a); !errors.Is(err, r.registry.fail) {
		t.Fatal(err)
	}
	r.registry.fail = nil
	if _, err := r.want(a); err != nil {
		t.Errorf("the promise didn't outlast an error: %v", err)
	}
	r.drop(a.UID) // deleted, with one promise unused
	if _, err := r.want(b); err != nil {
		t.Errorf("what a didn't use wasn't given back: %v", err)
	}
}

func TestAGangThatIsGreaterThanThePoolStartsCold(t *testing.T) {
	pool := pushPool(v1alpha1.WhenEmptyWait)
	pool.Capacity = 2
	r := newRig(t, pool, 2)
	job := r.job("job", 3, annotated(v1alpha1.AnnotationGang, "true"))
	if pod, err := r.want(job); err != nil || pod.Annotations[v1alpha1.AnnotationColdReason] != coldGang {
		t.Errorf("it was %v, %v", pod, err)
	}
	if said := strings.Join(r.said(), ""); !strings.Contains(said, "never more than 2 idle pods") {
		t.Errorf("said: %q", said)
	}
}

func TestAnInvalidPriorityIsSaid(t *testing.T) {
	r := newRig(t, pushPool(v1alpha1.WhenEmptyWait), 0)
	job := r.job("job", 1, annotated(v1alpha1.AnnotationPriority, "high"))
	if _, err := r.want(job); !errors.Is(err, errWaits) {
		t.Fatal(err)
	}
	if said := strings.Join(r.said(), ""); !strings.Contains(said, `"high" and not an integer`) {
		t.Errorf("said: %q", said)
	}
}

func TestARejectedJobIsToldToFail(t *testing.T) {
	r := newRig(t, pushPool(v1alpha1.WhenEmptyReject), 0)
	job := r.job("job", 1)
	for range 3 {
		if _, err := r.want(job); !errors.Is(err, errRejected) {
			t.Fatal(err)
		}
	}
	got, err := r.client.BatchV1().Jobs("ns").Get(t.Context(), "job", metav1.GetOptions{})
	if err != nil || len(got.Status.Conditions) != 1 || got.Status.Conditions[0].Type != batchv1.JobFailureTarget || got.Status.Conditions[0].Reason != ReasonPoolEmpty {
		t.Errorf("status %+v, %v", got.Status, err)
	}
}

func TestAStatusThatTellsOnlyOfPodsWaits(t *testing.T) {
	r := newRig(t, pushPool(""), 1)
	job := r.job("job", 1)
	if _, err := r.want(job); err != nil {
		t.Fatal(err)
	}
	writes := func() (n int) {
		for _, a := range r.client.Actions() {
			if a.GetVerb() == "update" && a.GetSubresource() == "status" {
				n++
			}
		}
		return n
	}
	update := func(change func(*batchv1.JobStatus)) *batchv1.Job {
		t.Helper()
		j, err := r.client.BatchV1().Jobs("ns").Get(t.Context(), "job", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.jobs.Informer().GetStore().Update(j.DeepCopy()); err != nil {
			t.Fatal(err)
		}
		j.Status.StartTime = new(metav1.NewTime(r.clock.Now()))
		change(&j.Status)
		j, err = r.Launcher.client.BatchV1().Jobs("ns").UpdateStatus(t.Context(), j, metav1.UpdateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	first := r.clock.Now()
	update(func(s *batchv1.JobStatus) { s.Active = 1 })
	if writes() != 0 {
		t.Error("it was written at once")
	}
	r.clock.Step(statusDelay)
	if diff := cmp.Diff([]string{"job"}, r.woken); diff != "" {
		t.Errorf("woken (-want +got):\n%s", diff)
	}
	got := update(func(s *batchv1.JobStatus) { s.Active = 1 })
	if writes() != 1 || !got.Status.StartTime.Time.Equal(first) {
		t.Errorf("%d writes, started %v, want %v", writes(), got.Status.StartTime, first)
	}
	if c := got.Status.Conditions[0]; c.Type != ConditionWarm || c.Status != corev1.ConditionTrue || c.Message != "1 of 1 pods started warm" {
		t.Errorf("condition %+v", c)
	}
	update(func(s *batchv1.JobStatus) {
		s.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{Succeeded: []types.UID{"p"}}
	})
	if writes() != 2 {
		t.Error("what is counted must be written at once")
	}
	r.clock.Step(time.Hour)
}
