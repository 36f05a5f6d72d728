// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ready is an idle pod that could begin a launch.
func ready(name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), Labels: map[string]string{
			v1alpha1.LabelName: "pool", v1alpha1.LabelState: string(v1alpha1.PodIdle),
		}},
		Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
}

// claimed is a pod that a Job has, with why it started cold if it did.
func claimed(name, job, cold string) *corev1.Pod {
	p := ready(name)
	p.Labels = map[string]string{
		v1alpha1.LabelState: string(v1alpha1.PodBusy), v1alpha1.LabelLaunch: "pool", batchv1.JobNameLabel: job,
	}
	p.Annotations = map[string]string{v1alpha1.AnnotationStart: v1alpha1.StartWarm}
	if cold != "" {
		p.Annotations = map[string]string{v1alpha1.AnnotationStart: v1alpha1.StartCold, v1alpha1.AnnotationColdReason: cold}
	}
	return p
}

func TestPodsAreIdleAsLongAsTheyCouldBegin(t *testing.T) {
	track := newTrack(clocktesting.NewFakePassiveClock(time.Unix(0, 0)))
	starting := ready("starting")
	starting.Status.Conditions = nil
	deleted := ready("deleted")
	deleted.DeletionTimestamp = new(metav1.Unix(1, 0))
	for _, p := range []*corev1.Pod{ready("a"), ready("b"), ready("c"), starting, deleted} {
		track.see(watch.Added, p)
	}
	track.see(watch.Deleted, ready("b"))
	track.see(watch.Modified, claimed("c", "job", ""))
	if diff := cmp.Diff(map[types.UID]string{"a": "pool"}, track.idle); diff != "" {
		t.Errorf("idle (-want +got):\n%s", diff)
	}
	pool, other := simulatedPool("pool", 1), simulatedPool("other", 1)
	if got := track.idleIn(pool, other); got != 1 {
		t.Errorf("%d pods are idle in both pools, want 1", got)
	}
	if got := track.idleIn(other); got != 0 {
		t.Errorf("%d pods are idle in the other pool, want none", got)
	}
}

func TestAPodOfAPoolIsMadeWhenItIsFirstSeen(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(time.Unix(5, 0))
	track := newTrack(clock)
	track.see(watch.Added, ready("a"))
	clock.SetTime(time.Unix(7, 0))
	track.see(watch.Modified, ready("a"))
	track.see(watch.Added, claimed("b", "cold", "no pod is idle")) // made for its Job
	if got := track.lastMade(); !got.Equal(time.Unix(5, 0)) {
		t.Errorf("the last pod was made at %s", got)
	}
	track.see(watch.Added, ready("c"))
	if got := track.lastMade(); !got.Equal(time.Unix(7, 0)) {
		t.Errorf("the last pod was made at %s, with another one", got)
	}
}

func TestAJobIsBoundWhenItsFirstPodIsSeen(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(time.Unix(5, 0))
	track := newTrack(clock)
	own := claimed("x", "own", "")
	delete(own.Labels, v1alpha1.LabelLaunch) // the cluster's own controller made it
	for _, p := range []*corev1.Pod{claimed("a", "warm", ""), claimed("b", "cold", "no pod is idle"), own} {
		track.see(watch.Modified, p)
	}
	clock.SetTime(time.Unix(9, 0))
	track.see(watch.Modified, claimed("a", "warm", "")) // again
	track.see(watch.Added, claimed("c", "cold", "no pod is idle"))
	track.see(watch.Deleted, claimed("d", "gone", ""))
	want := map[string]bound{
		"warm": {at: time.Unix(5, 0), pod: "a", pods: 1},
		"cold": {at: time.Unix(5, 0), pod: "c", cold: "no pod is idle", pods: 2},
	}
	if diff := cmp.Diff(want, track.bound, cmp.AllowUnexported(bound{})); diff != "" {
		t.Errorf("bound (-want +got):\n%s", diff)
	}
	track.forget()
	if got := track.binding("warm"); got.pods != 0 {
		t.Errorf("what was forgotten is %+v", got)
	}
}

func TestAwaitReturnsWhenWhatItWaitsForIsSeen(t *testing.T) {
	track := newTrack(clocktesting.NewFakePassiveClock(time.Unix(0, 0)))
	done := make(chan error)
	go func() {
		done <- track.await(t.Context(), "it begins", func() bool { return len(track.began["word"]) == 2 })
	}()
	track.begin("another", time.Unix(1, 0))
	track.begin("word", time.Unix(2, 0))
	track.begin("word", time.Unix(3, 0))
	if err := <-done; err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]time.Time{time.Unix(2, 0), time.Unix(3, 0)}, track.beginnings("word")); diff != "" {
		t.Errorf("beginnings (-want +got):\n%s", diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := track.await(ctx, "never", func() bool { return false }); !errors.Is(err, context.Canceled) {
		t.Errorf("at the end of the context: %v", err)
	}
}

func TestAwaitEachCountsNoOthers(t *testing.T) {
	track := newTrack(clocktesting.NewFakePassiveClock(time.Unix(0, 0)))
	names := []string{"one", "two"}
	all := func(ctx context.Context) error {
		return track.awaitEach(ctx, "it has a pod", len(names), func(i int) bool { return track.bound[names[i]].pods > 0 })
	}
	track.see(watch.Modified, claimed("a", "before", ""))
	track.see(watch.Modified, claimed("b", "one", ""))
	ended, end := context.WithCancel(t.Context())
	end()
	if err := all(ended); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "launch 2 of 2") {
		t.Errorf("%v, want that the second one is waited for", err)
	}
	track.see(watch.Modified, claimed("c", "two", ""))
	if err := all(ended); err != nil {
		t.Error(err)
	}
}

func TestALaunchThatBeganTwiceIsAnError(t *testing.T) {
	s := &stage{track: newTrack(clocktesting.NewFakePassiveClock(time.Unix(0, 0)))}
	s.track.begin("once", time.Unix(1, 0))
	s.track.begin("twice", time.Unix(1, 0))
	s.track.begin("twice", time.Unix(2, 0))
	if err := s.checkOnce("once"); err != nil {
		t.Error(err)
	}
	for _, word := range []string{"twice", "never"} {
		if s.checkOnce(word) == nil {
			t.Errorf("no error for one that began %s", word)
		}
	}
}

func TestPodsOfJobsWithoutAPoolAreSeenRunningOnce(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(time.Unix(5, 0))
	track := newTrack(clock)
	plain := func(name string, phase corev1.PodPhase) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), Labels: map[string]string{batchv1.JobNameLabel: "job"}},
			Status:     corev1.PodStatus{Phase: phase},
		}
	}
	track.see(watch.Added, plain("a", corev1.PodPending))
	if got := track.firstRun("job"); !got.IsZero() {
		t.Errorf("a pod that is pending ran at %s", got)
	}
	for second, p := range []*corev1.Pod{
		plain("a", corev1.PodRunning), plain("a", corev1.PodSucceeded), plain("b", corev1.PodSucceeded), claimed("c", "job", ""),
	} {
		clock.SetTime(time.Unix(int64(10+second), 0))
		track.see(watch.Modified, p)
	}
	want := map[types.UID]time.Time{"a": time.Unix(10, 0), "b": time.Unix(12, 0)}
	if diff := cmp.Diff(want, track.ran["job"]); diff != "" {
		t.Errorf("pods that ran (-want +got):\n%s", diff)
	}
	if got := track.firstRun("job"); !got.Equal(time.Unix(10, 0)) {
		t.Errorf("the first pod ran at %s", got)
	}
	track.forget()
	if got := track.firstRun("job"); !got.IsZero() {
		t.Errorf("a pod ran at %s, of what was forgotten", got)
	}
}
