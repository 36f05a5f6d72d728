// SPDX-License-Identifier: Apache-2.0

package launch

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/events"
	"k8s.io/kubernetes/pkg/controller/job/util"
	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/standby"
)

// world is a launcher that runs, with a registry and an API server of which no more is real than the fake client has.
type world struct {
	*Launcher
	t        *testing.T
	ctx      context.Context
	client   *fake.Clientset
	registry *standby.Registry
}

// inWorld runs f beside a running launcher. Time is the bubble's.
func inWorld(t *testing.T, when v1alpha1.WhenEmpty, f func(*world)) {
	t.Helper()
	tune() // not in the bubble
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := &world{t: t, ctx: ctx, client: newClient()}
		w.registry = standby.New(standby.Deps{Client: w.client, Clock: clock.RealClock{}, Log: logr.Discard()})
		w.registry.SetPool(game, standby.PoolSettings{UID: "pool", Revision: "1"})
		w.Launcher = newLauncher(t, w.client, FromRegistry(w.registry), pools{game: pushPool(when)}, events.NewFakeRecorder(1000), clock.RealClock{})
		done := make(chan error)
		go func() { done <- w.Start(ctx) }()
		w.pass()
		f(w)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// pass lets a moment pass.
func (w *world) pass() {
	time.Sleep(100 * time.Millisecond)
	synctest.Wait()
}

// standby makes an idle pod.
func (w *world) standby(name string) {
	w.t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: name, UID: types.UID(name), Annotations: map[string]string{v1alpha1.AnnotationPayload: ""},
			Labels: map[string]string{
				v1alpha1.LabelName: "game", v1alpha1.LabelRevision: "1", v1alpha1.LabelState: string(v1alpha1.PodIdle),
			},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps.paia.tech/v1alpha1", Kind: "HotStandbyJob", Name: "game", UID: "pool", Controller: new(true)}},
		},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
	created, err := w.client.CoreV1().Pods("ns").Create(w.ctx, pod, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.registry.Observe(created)
}

func (w *world) post(job *batchv1.Job) {
	w.t.Helper()
	if _, err := w.client.BatchV1().Jobs("ns").Create(w.ctx, job, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) job(name string) *batchv1.Job {
	w.t.Helper()
	job, err := w.client.BatchV1().Jobs("ns").Get(w.ctx, name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return job
}

// podsOfJob are the names of a Job's pods.
func (w *world) podsOfJob(job string) (names []string) {
	w.t.Helper()
	list, err := w.client.CoreV1().Pods("ns").List(w.ctx, metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range list.Items {
		if owner := metav1.GetControllerOf(&p); owner != nil && owner.Name == job {
			names = append(names, p.Name)
		}
	}
	return names
}

// end lets the pods of a Job end.
func (w *world) end(job string, phase corev1.PodPhase) {
	w.t.Helper()
	for _, name := range w.podsOfJob(job) {
		pod, err := w.client.CoreV1().Pods("ns").Get(w.ctx, name, metav1.GetOptions{})
		if err != nil {
			w.t.Fatal(err)
		}
		pod.Status.Phase = phase
		if _, err := w.client.CoreV1().Pods("ns").UpdateStatus(w.ctx, pod, metav1.UpdateOptions{}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// writes counts what was written of a resource, by verb.
func (w *world) writes(resource string) map[string]int {
	out := map[string]int{}
	for _, a := range w.client.Actions() {
		switch a.GetVerb() {
		case "create", "update", "patch", "delete":
			if a.GetResource().Resource == resource {
				out[a.GetVerb()+a.GetSubresource()]++
			}
		}
	}
	return out
}

func TestTheLauncherRunsWhenPoolsAndPodsAreKnown(t *testing.T) {
	tune() // not in the bubble
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		client, known := newClient(), make(chan struct{})
		registry := standby.New(standby.Deps{Client: client, Clock: clock.RealClock{}, Log: logr.Discard()})
		l := newLauncher(t, client, FromRegistry(registry), pools{}, events.NewFakeRecorder(1), clock.RealClock{})
		l.deps.Synced = func(context.Context) bool {
			<-known
			return true
		}
		running := func() bool {
			synctest.Wait()
			select {
			case <-l.Running():
				return true
			default:
				return false
			}
		}
		done := make(chan error)
		go func() { done <- l.Start(ctx) }()
		if running() {
			t.Error("it runs before")
		}
		close(known)
		time.Sleep(time.Second) // informers look now and then whether they are synced
		if !running() {
			t.Error("it doesn't run")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAJobRunsInAWarmPodAndCompletes(t *testing.T) {
	inWorld(t, "", func(w *world) {
		w.standby("warm")
		w.client.ClearActions()
		w.post(newJob("job", 1))
		w.pass()
		if diff := cmp.Diff([]string{"warm"}, w.podsOfJob("job")); diff != "" {
			t.Fatalf("pods (-want +got):\n%s", diff)
		}
		w.end("job", corev1.PodSucceeded)
		w.pass()
		job := w.job("job")
		if !util.IsJobFinished(job) || job.Status.Succeeded != 1 || job.Status.StartTime == nil {
			t.Errorf("status %+v", job.Status)
		}
		if diff := cmp.Diff(map[string]int{"create": 1, "updatestatus": 2}, w.writes("jobs")); diff != "" {
			t.Errorf("writes of Jobs (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]int{"patch": 2, "updatestatus": 1}, w.writes("pods")); diff != "" {
			t.Errorf("writes of pods (-want +got):\n%s", diff)
		}
		if len(w.states) != 0 {
			t.Errorf("a finished Job is remembered: %v", w.states)
		}
		time.Sleep(time.Minute)
		if n := w.writes("events")["create"]; n != 1 {
			t.Errorf("%d Events were written, want one, that it is complete", n)
		}
	})
}

func TestAJobThatWaitsStartsWhenAPodIsIdle(t *testing.T) {
	inWorld(t, v1alpha1.WhenEmptyWait, func(w *world) {
		w.post(newJob("a", 1))
		w.pass()
		w.post(newJob("b", 1))
		time.Sleep(time.Minute)
		if pods := append(w.podsOfJob("a"), w.podsOfJob("b")...); len(pods) != 0 {
			t.Fatalf("there are pods: %v", pods)
		}
		if n := w.Waiting(game); n != 2 {
			t.Errorf("%d pods are waited for, want 2", n)
		}
		for _, name := range []string{"a", "b"} {
			w.standby("for-" + name)
			time.Sleep(49 * time.Millisecond)
			synctest.Wait()
			if diff := cmp.Diff([]string{"for-" + name}, w.podsOfJob(name)); diff != "" {
				t.Errorf("pods of %s (-want +got):\n%s", name, diff)
			}
		}
		for _, a := range w.client.Actions() {
			if a.GetVerb() == "create" && a.GetResource().Resource == "events" && strings.Contains(fmt.Sprint(a), "FailedCreate") {
				t.Errorf("waiting is no failure: %v", a)
			}
		}
	})
}

func TestARejectedJobFails(t *testing.T) {
	inWorld(t, v1alpha1.WhenEmptyReject, func(w *world) {
		w.post(newJob("job", 1))
		time.Sleep(time.Second)
		w.pass()
		job := w.job("job")
		var reason string
		for _, c := range job.Status.Conditions {
			if c.Type == batchv1.JobFailed && c.Status == corev1.ConditionTrue {
				reason = c.Reason
			}
		}
		if reason != ReasonPoolEmpty {
			t.Errorf("status %+v", job.Status)
		}
	})
}

func TestOthersJobsAreNotTouched(t *testing.T) {
	inWorld(t, "", func(w *world) {
		w.standby("warm")
		for name, manager := range map[string]*string{"none": nil, "kcm": new(batchv1.JobControllerName), "kueue": new("kueue.x-k8s.io/multikueue")} {
			job := newJob(name, 1)
			job.Spec.ManagedBy = manager
			w.post(job)
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{ // a copy of one of ours
				Namespace: "ns", Name: name + "-x", UID: types.UID(name + "-x"), Finalizers: []string{batchv1.JobTrackingFinalizer},
				Labels:          map[string]string{v1alpha1.LabelLaunch: "game", batchv1.ControllerUidLabel: name},
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))},
			}}
			if _, err := w.client.CoreV1().Pods("ns").Create(w.ctx, pod, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		w.pass()
		w.client.ClearActions()
		for _, name := range []string{"none", "kcm", "kueue"} {
			w.end(name, corev1.PodSucceeded)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if diff := cmp.Diff(map[string]int{"updatestatus": 3}, w.writes("pods")); diff != "" { // the test's own
			t.Errorf("writes of pods (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]int{}, w.writes("jobs")); diff != "" {
			t.Errorf("writes of Jobs (-want +got):\n%s", diff)
		}
	})
}

func TestAStuckPodIsReplacedWithoutAFailure(t *testing.T) {
	inWorld(t, "", func(w *world) {
		w.standby("stuck")
		w.post(newJob("job", 1, func(j *batchv1.Job) { j.Spec.BackoffLimit = new(int32(0)) }))
		w.pass()
		pod, ok := w.registry.Pod("stuck")
		if !ok || pod.LaunchID == "" {
			t.Fatalf("the pod isn't claimed: %+v", pod)
		}
		other := pod
		other.LaunchID = "another"
		if err := w.ReleaseStuck(w.ctx, other); err != nil || len(w.podsOfJob("job")) != 1 {
			t.Fatalf("a pod with another launch was taken away: %v", err)
		}
		w.standby("next")
		if err := w.ReleaseStuck(w.ctx, pod); err != nil {
			t.Fatal(err)
		}
		w.pass()
		if diff := cmp.Diff([]string{"next"}, w.podsOfJob("job")); diff != "" {
			t.Errorf("pods (-want +got):\n%s", diff)
		}
		if job := w.job("job"); job.Status.Failed != 0 || util.IsJobFinished(job) {
			t.Errorf("status %+v", job.Status)
		}
	})
}

func TestAPodThatLosesItsLabelIsReleased(t *testing.T) {
	inWorld(t, "", func(w *world) {
		w.standby("warm")
		w.post(newJob("job", 1))
		w.pass()
		patch := []byte(`[{"op":"remove","path":"/metadata/labels/hsj.paia.tech~1launch"}]`)
		if _, err := w.client.CoreV1().Pods("ns").Patch(w.ctx, "warm", types.JSONPatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		w.pass()
		pod, err := w.client.CoreV1().Pods("ns").Get(w.ctx, "warm", metav1.GetOptions{})
		if err != nil || len(pod.OwnerReferences) != 0 || len(pod.Finalizers) != 0 {
			t.Errorf("it is still the Job's: %v %v, %v", pod.OwnerReferences, pod.Finalizers, err)
		}
		if pods := w.podsOfJob("job"); len(pods) != 1 {
			t.Errorf("the Job has pods %v, want one in its place", pods)
		}
	})
}

func TestAGangRunsInWarmPodsAlone(t *testing.T) {
	inWorld(t, v1alpha1.WhenEmptyWait, func(w *world) {
		for _, name := range []string{"1", "2"} {
			w.standby(name)
		}
		w.post(newJob("gang", 3, annotated(v1alpha1.AnnotationGang, "true")))
		w.pass()
		if pods := w.podsOfJob("gang"); len(pods) != 0 {
			t.Fatalf("it has pods %v of the three that it takes at once", pods)
		}
		w.standby("3")
		w.pass()
		if diff := cmp.Diff([]string{"1", "2", "3"}, w.podsOfJob("gang")); diff != "" {
			t.Errorf("pods (-want +got):\n%s", diff)
		}
		w.end("gang", corev1.PodSucceeded)
		w.pass()
		if job := w.job("gang"); !util.IsJobFinished(job) || job.Status.Succeeded != 3 {
			t.Errorf("status %+v", job.Status)
		}
	})
}
