// SPDX-License-Identifier: Apache-2.0

package launch

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Launch is a pod that a Job asks for.
type Launch struct {
	Pool     types.NamespacedName // that the Job names; there may be none
	Job, Pod string

	Seen   time.Time // when it was seen that the pod is wanted
	Found  time.Time // when a pod was found, or a cold start decided upon
	Waited bool      // it was in the queue of its pool before
	Trace  string    // the Job's AnnotationTraceparent

	Cold  Cold      // of a cold start: why
	Why   string    // the same in words, as in AnnotationColdReason
	Begun time.Time // of a cold start: when it was heard that the pod runs
}

// Cold is a class of reasons for a cold start.
type Cold string

// The classes.
const (
	ColdNoPool   Cold = "NoPool"
	ColdNotPush  Cold = "NotPush"
	ColdNoneIdle Cold = "NoneIdle"
	ColdGang     Cold = "Gang"
	ColdDiffers  Cold = "Differs" // from the pool's pods in a field that no running pod can take
)

// coldOf is the class of a reason.
func coldOf(why string) Cold {
	switch why {
	case coldNoPool:
		return ColdNoPool
	case coldNotPush:
		return ColdNotPush
	case coldNoneIdle:
		return ColdNoneIdle
	case coldGang:
		return ColdGang
	default:
		return ColdDiffers
	}
}

// Observer hears what becomes of launches, from any goroutine and without the launcher's mutex. It must not wait for
// anything.
type Observer interface {
	Claimed(l Launch)  // it has a pod of its pool; the registry tells when that has begun
	Created(l Launch)  // it has a pod of its own
	Began(l Launch)    // the pod of its own runs
	Rejected(l Launch) // its Job was told to fail
}

type nobody struct{}

func (nobody) Claimed(Launch)  {}
func (nobody) Created(Launch)  {}
func (nobody) Began(Launch)    {}
func (nobody) Rejected(Launch) {}

// arrive notes when a Job came that has not started yet: its first pods are wanted from then on. Later ones are from when
// the embedded controller asks for them.
func (l *Launcher) arrive(job *batchv1.Job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !ours(job) || over(job) || job.Status.StartTime != nil {
		delete(l.arrived, job.UID)
		return
	}
	if _, known := l.arrived[job.UID]; !known {
		l.arrived[job.UID] = l.deps.Clock.Now()
	}
}

// seen is when it was seen that the pod is wanted which a Job asks for now.
func (l *Launcher) seen(job *batchv1.Job) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s, ok := l.states[job.UID]; ok && s.waiting {
		return s.since
	}
	if at, ok := l.arrived[job.UID]; ok {
		return at
	}
	return l.deps.Clock.Now()
}

// created tells of a pod that was made for a launch, and of its beginning if that has come already.
func (l *Launcher) created(s *state, pod *corev1.Pod, launch Launch) {
	launch.Pod = pod.Name
	l.deps.Observer.Created(launch)
	l.mu.Lock()
	s.cold[pod.UID] = launch
	l.mu.Unlock()
	if o, known, _ := l.pods.Informer().GetStore().GetByKey(keyOf(pod).String()); known {
		if now, ok := o.(*corev1.Pod); ok {
			l.observeBegin(now)
		}
	}
}

// observeBegin tells of a pod of a launch's own when it runs.
func (l *Launcher) observeBegin(pod *corev1.Pod) {
	if !ran(pod) {
		return
	}
	l.mu.Lock()
	var begun []Launch
	for _, owner := range pod.OwnerReferences {
		if s, ok := l.states[owner.UID]; ok {
			if launch, ok := s.cold[pod.UID]; ok {
				delete(s.cold, pod.UID)
				begun = append(begun, launch)
			}
		}
	}
	l.mu.Unlock()
	for _, launch := range begun {
		launch.Begun = l.deps.Clock.Now()
		l.deps.Observer.Began(launch)
	}
}

// ran tells whether a container of a pod runs, or has run.
func ran(pod *corev1.Pod) bool {
	if pod.Status.Phase == corev1.PodRunning || pod.Status.Phase == corev1.PodSucceeded {
		return true
	}
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Terminated != nil && !c.State.Terminated.StartedAt.IsZero() {
			return true
		}
	}
	return false
}
