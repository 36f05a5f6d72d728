// SPDX-License-Identifier: Apache-2.0

package launch

import (
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/kubernetes/pkg/controller"
	"k8s.io/kubernetes/pkg/controller/job/util"
	"k8s.io/utils/ptr"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// state is what is remembered of a Job while it isn't finished. Launcher.mu guards it.
type state struct {
	key, pool types.NamespacedName
	uid       types.UID

	started  map[types.UID]string // how its pods started: AnnotationStart's values
	claimed  sets.Set[string]     // names of those that were claimed
	fresh    map[types.UID]bool   // those of them that the informer hasn't delivered yet
	inFlight int                  // claims and creations under way
	gang     *gang
	waiting  bool                 // it is in the queue of its pool
	waiter   waiter               // its place there, while it is
	since    time.Time            // since when
	cold     map[types.UID]Launch // pods of its own that don't run yet
	rejected bool                 // it was told to fail
	told     map[string]bool      // what its Events have said already
	held     *heldStatus
}

// gang is what was decided for the pods of a gang that the controller is still to ask for, one by one.
type gang struct {
	reservation Reservation // nil: they start cold
	cold        string      // why
	left        int
}

// stateOf returns a Job's state; l.mu is held.
func (l *Launcher) stateOf(job *batchv1.Job) *state {
	s, ok := l.states[job.UID]
	if !ok {
		s = &state{
			key: keyOf(job), pool: poolOf(job), uid: job.UID,
			started: map[types.UID]string{}, claimed: sets.New[string](), fresh: map[types.UID]bool{}, told: map[string]bool{},
			cold: map[types.UID]Launch{},
		}
		l.states[job.UID] = s
	}
	return s
}

func keyOf(o metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
}

// poolOf is the pool that a Job names.
func poolOf(job *batchv1.Job) types.NamespacedName {
	return types.NamespacedName{Namespace: job.Namespace, Name: job.Labels[v1alpha1.LabelPool]}
}

// jobOf returns a Job as the informer has it, or nil if it has no such Job (any more).
func (l *Launcher) jobOf(key types.NamespacedName, uid types.UID) *batchv1.Job {
	job, err := l.jobs.Lister().Jobs(key.Namespace).Get(key.Name)
	if err != nil || job.UID != uid {
		return nil
	}
	return job
}

// ours tells whether a Job as the informer has it is run by the launcher (see transformJob).
func ours(job *batchv1.Job) bool { return job.Spec.ManagedBy == nil }

// over tells whether a Job asks for no more pods, for now or for ever.
func over(job *batchv1.Job) bool {
	return util.IsJobFinished(job) || ptr.Deref(job.Spec.Suspend, false) || job.DeletionTimestamp != nil
}

// podsOf returns the pods of a Job as the informer has them.
func (l *Launcher) podsOf(job *batchv1.Job) []*corev1.Pod {
	pods, err := controller.FilterPodsByOwner(l.pods.Informer().GetIndexer(), &job.ObjectMeta, "Job", false)
	if err != nil { // the index isn't there yet: neither is any pod
		return nil
	}
	return pods
}

// need is how many pods a Job lacks: those that it may have at once and hasn't, not counting what is under way. l.mu is
// held.
func (l *Launcher) need(job *batchv1.Job, s *state) int {
	if over(job) {
		return 0
	}
	active, done := 0, uncounted(job)
	for _, p := range l.podsOf(job) {
		switch {
		case p.Status.Phase == corev1.PodSucceeded && slices.Contains(p.Finalizers, batchv1.JobTrackingFinalizer):
			done[p.UID] = true
		case p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed && p.DeletionTimestamp == nil:
			active++
		}
	}
	want := int(ptr.Deref(job.Spec.Parallelism, 1))
	if job.Spec.Completions != nil {
		want = min(want, int(*job.Spec.Completions)-int(job.Status.Succeeded)-len(done))
	}
	under := len(s.fresh) + s.inFlight
	if s.gang != nil && s.gang.reservation != nil {
		under += s.gang.left
	}
	return max(0, want-active-under)
}

// uncounted has the pods of a Job that have succeeded and aren't counted yet.
func uncounted(job *batchv1.Job) map[types.UID]bool {
	done := map[types.UID]bool{}
	if u := job.Status.UncountedTerminatedPods; u != nil {
		for _, uid := range u.Succeeded {
			done[uid] = true
		}
	}
	return done
}

// observeJob takes note of what an update of a Job changes here.
func (l *Launcher) observeJob(job *batchv1.Job) {
	if !ours(job) || util.IsJobFinished(job) {
		l.drop(job.UID)
		return
	}
	l.mu.Lock()
	s, ok := l.states[job.UID]
	if !ok {
		l.mu.Unlock()
		return
	}
	var unused Reservation
	if l.need(job, s) == 0 && s.inFlight == 0 {
		l.dequeue(s)
	}
	if s.gang != nil && !l.lacks(job, s) {
		unused, s.gang = s.gang.reservation, nil
	}
	l.mu.Unlock()
	if unused != nil {
		unused.Release()
	}
	l.wakeNext(s.pool)
}

// lacks tells whether a Job still has a use for what was promised to it. l.mu is held.
func (l *Launcher) lacks(job *batchv1.Job, s *state) bool {
	g := s.gang
	s.gang = nil
	defer func() { s.gang = g }()
	return s.inFlight > 0 || l.need(job, s) > 0
}

// drop forgets a Job, and gives back what was promised to it.
func (l *Launcher) drop(uid types.UID) {
	l.mu.Lock()
	delete(l.arrived, uid)
	s, ok := l.states[uid]
	if !ok {
		l.mu.Unlock()
		return
	}
	delete(l.states, uid)
	l.dequeue(s)
	g := s.gang
	s.gang = nil
	if s.held != nil {
		s.held.timer.Stop()
	}
	l.mu.Unlock()
	if g != nil && g.reservation != nil {
		g.reservation.Release()
	}
	l.wakeNext(s.pool)
}
