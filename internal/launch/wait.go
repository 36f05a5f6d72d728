// SPDX-License-Identifier: Apache-2.0

package launch

import (
	"errors"
	"iter"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// What the embedded controller is told when a pod isn't created for now. It tries again, as after any error.
var (
	errWaits    = errors.New("the launch waits for an idle pod of its pool")
	errRejected = errors.New("the launch was rejected: no pod of its pool is idle")
)

// waiterOf is a Job's place in the queue of its pool, or the one that it would have. l.mu is held.
func (l *Launcher) waiterOf(job *batchv1.Job, s *state) waiter {
	if s.waiting {
		return l.refreshed(s.waiter)
	}
	priority, _ := parsePriority(job.Annotations[v1alpha1.AnnotationPriority])
	since := l.deps.Clock.Now().Truncate(time.Second) // what StartTime has, which survives a restart
	if job.Status.StartTime != nil {
		since = job.Status.StartTime.Time
	}
	return waiter{
		job: job.UID, rank: rank(since, priority), seq: l.seq + 1, gang: isGang(job),
		need: max(1, l.need(job, s)),
	}
}

func isGang(job *batchv1.Job) bool { return job.Annotations[v1alpha1.AnnotationGang] == "true" }

// refreshed is a place in the queue with what the Job needs now. l.mu is held.
func (l *Launcher) refreshed(w waiter) waiter {
	w.need = 0
	if s, ok := l.states[w.job]; ok {
		if job := l.jobOf(s.key, s.uid); job != nil {
			w.need = l.need(job, s)
		}
	}
	return w
}

// queue is the queue of a pool, with what the Jobs need now. l.mu is held, also by who reads it.
func (l *Launcher) queue(pool types.NamespacedName) iter.Seq[waiter] {
	return func(yield func(waiter) bool) {
		for _, w := range l.queues[pool] {
			if !yield(l.refreshed(w)) {
				return
			}
		}
	}
}

// enqueue lets a Job wait, and tells how many are before it. l.mu is held.
func (l *Launcher) enqueue(s *state, w waiter) (jobs int) {
	if !s.waiting {
		l.seq++
		w.seq = l.seq
		s.waiting, s.waiter = true, w
		l.queues[s.pool] = insert(l.queues[s.pool], w)
	}
	return index(l.queues[s.pool], s.waiter)
}

// dequeue ends a Job's waiting. l.mu is held.
func (l *Launcher) dequeue(s *state) {
	if !s.waiting {
		return
	}
	s.waiting = false
	queue := remove(l.queues[s.pool], s.waiter)
	if len(queue) == 0 {
		delete(l.queues, s.pool)
		return
	}
	l.queues[s.pool] = queue
}

// wakeNext lets the embedded controller look at the Jobs whose turn it is.
func (l *Launcher) wakeNext(pool types.NamespacedName) {
	l.mu.Lock()
	var jobs []*batchv1.Job
	if len(l.queues[pool]) > 0 {
		for _, uid := range next(l.queue(pool), l.deps.Registry.Idle(pool)) {
			if s := l.states[uid]; s != nil {
				jobs = append(jobs, l.jobOf(s.key, s.uid))
			}
		}
	}
	l.mu.Unlock()
	for _, job := range jobs {
		l.wake(job)
	}
}

// PoolChanged tells that a pool isn't what it was: Jobs that wait for it are decided upon anew.
func (l *Launcher) PoolChanged(pool types.NamespacedName) {
	l.mu.Lock()
	var jobs []*batchv1.Job
	for _, w := range l.queues[pool] {
		if s := l.states[w.job]; s != nil {
			jobs = append(jobs, l.jobOf(s.key, s.uid))
		}
	}
	l.mu.Unlock()
	for _, job := range jobs {
		l.wake(job)
	}
}

// Waiting is how many pods the Jobs lack that wait for a pool.
func (l *Launcher) Waiting(pool types.NamespacedName) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	pods := 0
	for w := range l.queue(pool) {
		pods += w.need
	}
	return pods
}

// Before is how many Jobs are before one in the queue of its pool; 0 if it doesn't wait.
func (l *Launcher) Before(job types.NamespacedName) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for pool, queue := range l.queues {
		if pool.Namespace != job.Namespace {
			continue
		}
		for i, w := range queue {
			if s := l.states[w.job]; s != nil && s.key == job {
				return i
			}
		}
	}
	return 0
}
