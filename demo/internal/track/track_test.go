// SPDX-License-Identifier: Apache-2.0

package track

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

var (
	name  = types.NamespacedName{Namespace: "ns", Name: "game"}
	began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

func at(d time.Duration) time.Time { return began.Add(d) }

// scene is a tracker of one pool of two, and its events.
type scene struct{ *Tracker }

func newScene(t *testing.T) scene {
	t.Helper()
	h := &v1alpha1.HotStandbyJob{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}}
	h.Spec.IdleTarget, h.Spec.BusyProbe.Mode = 2, v1alpha1.BusyByAnnotation
	s := scene{New(h)}
	s.Apply(name, began)
	return s
}

func meta(object string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: name.Namespace, Name: object, UID: types.UID(object),
		Labels: map[string]string{v1alpha1.LabelName: name.Name},
	}
}

func (s scene) job(object string, d time.Duration) {
	s.Job(&batchv1.Job{ObjectMeta: meta(object)}, at(d))
}

// podOf is what a pod looks like after something happened to it.
func podOf(object string, changes ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: meta(object), Status: corev1.PodStatus{Phase: corev1.PodRunning}}
	for _, change := range changes {
		change(p)
	}
	return p
}

func warm(p *corev1.Pod) {
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	p.Labels[v1alpha1.LabelState] = string(v1alpha1.PodIdle)
}

func busy(p *corev1.Pod) {
	warm(p)
	p.Annotations = map[string]string{v1alpha1.AnnotationBusy: "True"}
}

func done(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }

func exited(p *corev1.Pod) {
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{
		State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}},
	}}
}

func deleted(p *corev1.Pod) { p.DeletionTimestamp = new(metav1.NewTime(began)) }
func retiring(p *corev1.Pod) {
	warm(p)
	p.Labels[v1alpha1.LabelState] = string(v1alpha1.PodRetiring)
}

// fill makes the pool have its two idle pods, after a second.
func (s scene) fill() {
	for _, object := range []string{"a", "b"} {
		s.job("job-"+object, 0)
		s.Pod(podOf(object), at(0))
		s.Pod(podOf(object, warm), at(time.Second))
	}
}

func TestFilling(t *testing.T) {
	s := newScene(t)
	s.job("job-a", 0)
	s.Pod(podOf("a"), at(0))
	if p := s.Pool(name); p.Starting != 1 || p.FilledAfter != 0 {
		t.Errorf("after the first pod: %+v", p)
	}
	s.fill()
	p := s.Pool(name)
	if p.Idle != 2 || p.FilledAfter != time.Second || p.MostJobs != 2 || p.Surplus != 0 || p.Replaced != 0 {
		t.Errorf("filled: %+v", p)
	}
	if diff := cmp.Diff([]string{"a", "b"}, slices.Sorted(slices.Values(p.Free))); diff != "" {
		t.Errorf("pods that may be given work (-want +got):\n%s", diff)
	}
}

func TestFillingWithMoreJobsThanNeeded(t *testing.T) {
	s := newScene(t)
	s.job("one-too-many", 0)
	s.fill()
	if p := s.Pool(name); p.Surplus != 1 || p.MostJobs != 3 {
		t.Errorf("surplus %d, most Jobs %d; want 1 and 3", p.Surplus, p.MostJobs)
	}
}

func TestPodsThatEndWhileFillingAreReplaced(t *testing.T) {
	s := newScene(t)
	s.job("job-x", 0)
	s.Pod(podOf("x", warm), at(0))
	s.Pod(podOf("x", done), at(0))
	s.fill()
	if p := s.Pool(name); p.Surplus != 0 {
		t.Errorf("surplus is %d: the third Job replaces a pod that ended", p.Surplus)
	}
}

func TestWaitForReplacement(t *testing.T) {
	for title, tc := range map[string]struct {
		events func(scene)
		want   []time.Duration
		open   int
	}{
		"from the annotation to the Job": {func(s scene) {
			s.Pod(podOf("a", busy), at(2*time.Second))
			s.Pod(podOf("a", busy), at(3*time.Second)) // something else has changed
			s.job("r", 2*time.Second+7*time.Millisecond)
		}, []time.Duration{7 * time.Millisecond}, 0},
		"the oldest first": {func(s scene) {
			s.Pod(podOf("a", busy), at(2*time.Second))
			s.Pod(podOf("b", busy), at(2*time.Second+time.Millisecond))
			s.job("r", 2*time.Second+7*time.Millisecond)
		}, []time.Duration{7 * time.Millisecond}, 1},
		"the Job's event comes first": {func(s scene) {
			s.job("r", 2*time.Second)
			s.Pod(podOf("a", busy), at(2*time.Second+time.Millisecond))
		}, []time.Duration{0}, 0},
		"a Job of long before is no replacement": {func(s scene) {
			s.job("r", time.Second)
			s.Pod(podOf("a", busy), at(2*time.Second))
		}, nil, 1},
	} {
		t.Run(title, func(t *testing.T) {
			s := newScene(t)
			s.fill()
			tc.events(s)
			p := s.Pool(name)
			if diff := cmp.Diff(tc.want, p.Waits); diff != "" {
				t.Errorf("waits (-want +got):\n%s", diff)
			}
			if p.Waiting != tc.open {
				t.Errorf("%d pods wait for their replacement, want %d", p.Waiting, tc.open)
			}
		})
	}
}

func TestBusyPodThatIsDeleted(t *testing.T) {
	for title, tc := range map[string]struct {
		end  func(scene)
		want []string
	}{
		"while it works":      {func(s scene) { s.Pod(podOf("a", busy, deleted), at(0)) }, []string{"a"}},
		"unseen":              {func(s scene) { s.PodGone(podOf("a", busy), at(0)) }, []string{"a"}},
		"after its work":      {func(s scene) { s.Pod(podOf("a", busy, done, deleted), at(0)) }, nil},
		"after its container": {func(s scene) { s.Pod(podOf("a", busy, exited), at(0)); s.Pod(podOf("a", busy, exited, deleted), at(0)) }, nil},
		"when all is over":    {func(s scene) { s.Freeze(); s.Pod(podOf("a", busy, deleted), at(0)) }, nil},
		"it is another pool":  {func(s scene) { s.Pod(podOf("a", busy, deleted, elsewhere), at(0)) }, nil},
	} {
		t.Run(title, func(t *testing.T) {
			s := newScene(t)
			s.fill()
			s.Pod(podOf("a", busy), at(0))
			tc.end(s)
			if diff := cmp.Diff(tc.want, s.Pool(name).BusyEnded); diff != "" {
				t.Errorf("busy pods that were deleted (-want +got):\n%s", diff)
			}
		})
	}
}

func elsewhere(p *corev1.Pod) { p.Namespace = "elsewhere" }

func TestLowering(t *testing.T) {
	s := newScene(t)
	s.fill()
	s.Pod(podOf("c", busy), at(time.Second))
	s.Pod(podOf("d", busy), at(time.Second))
	s.Lower(name, 1, at(2*time.Second))
	s.Pod(podOf("a", retiring), at(7*time.Second))
	s.Pod(podOf("a", retiring, deleted), at(7*time.Second))
	s.Pod(podOf("c", busy, exited), at(8*time.Second))
	s.Pod(podOf("d", busy, deleted), at(9*time.Second))
	want := &Lowered{
		From: 2, To: 1, Surplus: 1, Busy: 2, BusyFinished: 1, BusyLost: 1,
		Retired: 1, First: 5 * time.Second, Last: 5 * time.Second,
	}
	p := s.Pool(name)
	if diff := cmp.Diff(want, p.Lowered); diff != "" {
		t.Errorf("Lowered (-want +got):\n%s", diff)
	}
	if p.Target != 1 || p.Idle != 1 || p.Waiting != 0 {
		t.Errorf("pool is %+v", p)
	}
}

func TestFencedPodThatTurnsBusyIsBusy(t *testing.T) {
	s := newScene(t)
	s.fill()
	s.Pod(podOf("a", retiring), at(time.Second))
	s.Pod(podOf("a", busy), at(2*time.Second))
	if p := s.Pool(name); p.Busy != 1 || p.Idle != 1 {
		t.Errorf("%d busy, %d idle; want 1 of each", p.Busy, p.Idle)
	}
}

func TestFewestIdle(t *testing.T) {
	s := newScene(t)
	s.fill()
	s.Measure(name, true)
	s.Pod(podOf("a", busy), at(time.Second))
	s.Pod(podOf("c", warm), at(2*time.Second))
	if p := s.Pool(name); p.FewestIdle != 1 || p.Idle != 2 {
		t.Errorf("fewest idle is %d, idle now %d; want 1 and 2", p.FewestIdle, p.Idle)
	}
}

func TestAwait(t *testing.T) {
	s := newScene(t)
	result := make(chan error, 1)
	go func() {
		result <- s.Await(t.Context(), name, func(p Pool) bool { return p.Idle == 2 })
	}()
	s.fill()
	if err := <-result; err != nil {
		t.Errorf("Await: %v", err)
	}
	cause := errors.New("too late")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if err := s.Await(ctx, name, func(Pool) bool { return false }); !errors.Is(err, cause) {
		t.Errorf("Await when it is too late: %v", err)
	}
}
