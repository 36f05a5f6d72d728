// SPDX-License-Identifier: Apache-2.0

package launch

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// listener writes down what it hears: the event, and times after a begin.
type listener struct {
	begin time.Time

	mu    sync.Mutex
	heard []string
}

func (o *listener) note(what string, l Launch) {
	o.mu.Lock()
	defer o.mu.Unlock()
	line := fmt.Sprintf("%s %s of %s", what, l.Job, l.Pool.Name)
	for _, word := range []string{string(l.Cold), l.Why} {
		if word != "" {
			line += ", " + word
		}
	}
	if l.Waited {
		line += ", waited"
	}
	for _, at := range []struct {
		name string
		at   time.Time
	}{{"seen", l.Seen}, {"found", l.Found}, {"begun", l.Begun}} {
		if !at.at.IsZero() {
			line += fmt.Sprintf(", %s %s", at.name, at.at.Sub(o.begin))
		}
	}
	o.heard = append(o.heard, line)
}

func (o *listener) Claimed(l Launch)  { o.note("claimed", l) }
func (o *listener) Created(l Launch)  { o.note("created", l) }
func (o *listener) Began(l Launch)    { o.note("began", l) }
func (o *listener) Rejected(l Launch) { o.note("rejected", l) }

func (o *listener) all() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.heard
}

func TestWhatBecomesOfALaunchIsTold(t *testing.T) {
	for name, tc := range map[string]struct {
		pool  Pool
		idle  int
		named string
		want  []string
	}{
		"claimed": {
			pool: pushPool(""), idle: 1, named: "game",
			want: []string{"claimed job of game, seen 0s, found 0s", "created job of game, NoneIdle, no pod was idle, seen 1s, found 1s"},
		},
		"cold": {
			pool: Pool{}, named: "game",
			want: []string{
				"created job of game, NotPush, the pool's assignment isn't Push, seen 0s, found 0s",
				"created job of game, NotPush, the pool's assignment isn't Push, seen 1s, found 1s",
			},
		},
		"without a pool": {
			named: "gone",
			want: []string{
				"created job of gone, NoPool, there is no such pool, seen 0s, found 0s",
				"created job of gone, NoPool, there is no such pool, seen 1s, found 1s",
			},
		},
		"rejected, once": {pool: pushPool(v1alpha1.WhenEmptyReject), named: "game", want: []string{"rejected job of game, seen 0s"}},
		"waits":          {pool: pushPool(v1alpha1.WhenEmptyWait), named: "game", want: nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, tc.pool, tc.idle)
			o := &listener{begin: r.clock.Now()}
			r.deps.Observer = o
			job := r.job("job", 2, func(j *batchv1.Job) { j.Labels[v1alpha1.LabelPool] = tc.named })
			_, _ = r.want(job) // that it waits, or was rejected, is an error for the embedded controller
			r.clock.Step(time.Second)
			_, _ = r.want(job)
			if diff := cmp.Diff(tc.want, o.all()); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		})
	}
}

func TestALaunchThatWaitedSaysSinceWhen(t *testing.T) {
	r := newRig(t, pushPool(v1alpha1.WhenEmptyWait), 0)
	o := &listener{begin: r.clock.Now()}
	r.deps.Observer = o
	job := r.job("job", 2, annotated(v1alpha1.AnnotationTraceparent, "a trace"))
	for range 3 { // it is asked for again and again
		_, _ = r.want(job)
		r.clock.Step(time.Second)
	}
	r.registry.add(2)
	for range 2 {
		if _, err := r.want(job); err != nil {
			t.Fatal(err)
		}
		if timing := r.registry.claimed[len(r.registry.claimed)-1].Timing; !timing.Seen.Equal(o.begin) || !timing.Waited || timing.Trace != "a trace" || timing.Found.Sub(o.begin) != 3*time.Second {
			t.Errorf("the registry was told %+v", timing)
		}
	}
	want := []string{"claimed job of game, waited, seen 0s, found 3s", "claimed job of game, waited, seen 0s, found 3s"}
	if diff := cmp.Diff(want, o.all()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// A Job's first pods are wanted from when it came, however long the controller's queue is; its later ones from when it asks.
func TestAJobsFirstPodsAreWantedFromWhenItCame(t *testing.T) {
	r := newRig(t, pushPool(""), 3)
	o := &listener{begin: r.clock.Now()}
	r.deps.Observer = o
	job := r.job("job", 2)
	r.arrive(job)
	r.clock.Step(time.Second)
	r.arrive(job) // an update changes nothing
	for range 2 {
		_, _ = r.want(job)
	}
	started := job.DeepCopy()
	started.Status.StartTime = new(metav1.NewTime(r.clock.Now()))
	r.arrive(started)
	_, _ = r.want(job)
	want := []string{
		"claimed job of game, seen 0s, found 1s", "claimed job of game, seen 0s, found 1s", "claimed job of game, seen 1s, found 1s",
	}
	if diff := cmp.Diff(want, o.all()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	suspended := newJob("other", 1, func(j *batchv1.Job) { j.Spec.ManagedBy, j.Spec.Suspend = nil, new(true) })
	r.arrive(suspended)
	r.clock.Step(time.Second)
	resumed := suspended.DeepCopy()
	resumed.Spec.Suspend = new(false)
	r.arrive(resumed)
	if at := r.seen(resumed).Sub(o.begin); at != 2*time.Second {
		t.Errorf("a Job that was resumed is wanted from %s on, want 2s", at)
	}
	r.drop(resumed.UID)
	r.clock.Step(time.Second)
	if at := r.seen(resumed).Sub(o.begin); at != 3*time.Second {
		t.Errorf("a Job that is over is remembered: %s", at)
	}
}

func TestAColdStartBeginsWhenItsPodRuns(t *testing.T) {
	inWorld(t, v1alpha1.WhenEmptyColdStart, func(w *world) {
		o := &listener{begin: time.Now()}
		w.deps.Observer = o
		w.post(newJob("job", 1))
		w.pass()
		w.end("job", corev1.PodPending)
		w.pass()
		w.end("job", corev1.PodRunning)
		w.pass()
		w.end("job", corev1.PodSucceeded)
		w.pass()
		want := []string{
			"created job of game, NoneIdle, no pod was idle, seen 0s, found 0s",
			"began job of game, NoneIdle, no pod was idle, seen 0s, found 0s, begun 200ms",
		}
		if diff := cmp.Diff(want, o.all()); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

func TestRan(t *testing.T) {
	for name, tc := range map[string]struct {
		status corev1.PodStatus
		want   bool
	}{
		"it is pending":    {corev1.PodStatus{Phase: corev1.PodPending}, false},
		"it runs":          {corev1.PodStatus{Phase: corev1.PodRunning}, true},
		"it has run":       {corev1.PodStatus{Phase: corev1.PodSucceeded}, true},
		"it failed before": {corev1.PodStatus{Phase: corev1.PodFailed}, false},
		"it failed while it ran": {corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, StartedAt: metav1.NewTime(time.Unix(1, 0))},
		}}}}, true},
	} {
		if got := ran(&corev1.Pod{Status: tc.status}); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
