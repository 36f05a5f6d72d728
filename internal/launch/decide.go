// SPDX-License-Identifier: Apache-2.0

package launch

import (
	"errors"

	corev1 "k8s.io/api/core/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/standby"
)

// outcome is what becomes of a request for a pod.
type outcome int

const (
	claims outcome = iota
	startsCold
	waits
	rejects
)

// decision is an outcome with what belongs to it.
type decision struct {
	outcome     outcome
	state       *state
	reservation Reservation // claims
	gang        bool        // claims: the reservation is for others of the Job, too
	cold        string      // startsCold: why
	before      int         // waits: how many Jobs are before it
	waited      bool        // it was in the queue
}

// decide says whether a request gets an idle pod now, which is then promised to it, or what else becomes of it. The
// decision and the promise are made under one lock, so that nobody overtakes.
func (l *Launcher) decide(r request) decision {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stateOf(r.job)
	waited := s.waiting
	d, ok := ofGang(s)
	switch {
	case s.rejected:
		d = decision{outcome: rejects}
	case !ok:
		d = l.decideAnew(r, s)
	}
	if d.outcome == claims {
		s.inFlight++
	}
	if d.outcome != waits && s.waiting && l.need(r.job, s) == 0 {
		l.dequeue(s)
	}
	if d.outcome == waits && !waited {
		s.since = r.launch.Seen
	}
	d.state, d.waited = s, waited
	return d
}

// decideAnew decides for a pod about which nothing was decided together with others. l.mu is held.
func (l *Launcher) decideAnew(r request, s *state) decision {
	w := l.waiterOf(r.job, s)
	w.need = max(1, w.need) // the controller asks, so it lacks one
	if w.gang && r.pool.Capacity > 0 && w.need > r.pool.Capacity {
		return coldFor(s, w, coldGang)
	}
	if admits(l.queue(s.pool), w, l.deps.Registry.Idle(s.pool)) {
		if reservation, err := l.deps.Registry.Reserve(s.pool, w.takes()); err == nil {
			if w.gang && w.need > 1 {
				s.gang = &gang{reservation: reservation, left: w.need - 1}
			}
			return decision{outcome: claims, reservation: reservation, gang: w.gang}
		}
	}
	switch r.pool.WhenEmpty {
	case v1alpha1.WhenEmptyWait:
		return decision{outcome: waits, before: l.enqueue(s, w)}
	case v1alpha1.WhenEmptyReject:
		return decision{outcome: rejects}
	default:
		return coldFor(s, w, coldNoneIdle)
	}
}

// ofGang is what was decided for all pods of the Job's gang, if there is any left. l.mu is held.
func ofGang(s *state) (decision, bool) {
	g := s.gang
	if g == nil {
		return decision{}, false
	}
	if g.left--; g.left == 0 {
		s.gang = nil
	}
	if g.reservation == nil {
		return decision{outcome: startsCold, cold: g.cold}, true
	}
	return decision{outcome: claims, reservation: g.reservation, gang: true}, true
}

// coldFor lets a pod start cold, and with it the others of its gang: they start together.
func coldFor(s *state, w waiter, why string) decision {
	if w.gang && w.need > 1 {
		s.gang = &gang{cold: why, left: w.need - 1}
	}
	return decision{outcome: startsCold, cold: why}
}

// settle takes note of what became of a claim.
func (l *Launcher) settle(d decision, claimed *corev1.Pod, err error) {
	l.mu.Lock()
	s, release := d.state, !d.gang
	l.landed(s, claimed, v1alpha1.StartWarm, err)
	if d.gang && err != nil && !errors.Is(err, standby.ErrNoneIdle) { // the promise stands, unless the Job is gone
		switch {
		case l.states[s.uid] != s:
			release = true
		case s.gang == nil:
			s.gang = &gang{reservation: d.reservation, left: 1}
		default:
			s.gang.left++
		}
	}
	l.mu.Unlock()
	if release {
		d.reservation.Release()
	}
	l.wakeNext(s.pool)
}

// landed takes note of the end of a claim or a creation. l.mu is held.
func (l *Launcher) landed(s *state, pod *corev1.Pod, start string, err error) {
	s.inFlight--
	if err != nil {
		return
	}
	s.started[pod.UID] = start
	if start == v1alpha1.StartWarm {
		s.claimed.Insert(pod.Name)
	}
	// The informer puts a pod into its store before it tells of it: from here on observePod will hear of one that isn't.
	if _, seen, _ := l.pods.Informer().GetStore().GetByKey(keyOf(pod).String()); !seen {
		s.fresh[pod.UID] = true
	}
}

// observePod takes note that the informer has, or had, a pod.
func (l *Launcher) observePod(pod *corev1.Pod) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, owner := range pod.OwnerReferences {
		if s, ok := l.states[owner.UID]; ok {
			delete(s.fresh, pod.UID)
		}
	}
}
