// SPDX-License-Identifier: Apache-2.0

package unit

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/pool"
)

// Claimed says whether a pod belongs to a launch.
func Claimed(p *corev1.Pod) bool { return p.Labels[v1alpha1.LabelLaunch] != "" }

// OfPod is the unit that a plain pod is, and false for a pod that is none any more: one that was claimed and has ended is
// its Job's alone.
//
//	           warm           claimed
//	starting ◀──────▶ idle ──────────────▶ busy ──ends──▶ (none)
//	    │               │
//	    └───────────────┴──ends──▶ failed, whatever its exit code: it waited for work
func (v View) OfPod(p *corev1.Pod) (Unit, bool) {
	s := v.standby(p)
	if Claimed(p) && (s.phase == pool.Failed || s.phase == pool.Succeeded) {
		return Unit{}, false
	}
	u := Unit{}
	u.Name, u.Phase, u.Created = p.Name, s.phase, p.CreationTimestamp.Time
	u.Current = v.current(p)
	u.Cordoned = v.Nodes[p.Spec.NodeName].Cordoned
	u.add(s)
	if s.phase == pool.Terminating {
		return u, true
	}
	u.Pods = []*corev1.Pod{p}
	free := s.phase == pool.Starting || s.phase == pool.Idle
	if free && p.Labels[v1alpha1.LabelState] != string(v1alpha1.PodIdle) {
		u.Labels = []Label{{Pod: p, State: v1alpha1.PodIdle, Movable: true}}
	}
	return u, true
}

// standby says what a plain pod is doing. There is no signal to ask for: it works from its claim on, and not before.
func (v View) standby(p *corev1.Pod) podState {
	s := podState{running: started(p), warm: warmSince(p)}
	label := v1alpha1.PodState(p.Labels[v1alpha1.LabelState])
	// The label alone isn't a claim, but a pod that carries it is left alone.
	busy := Claimed(p) || label == v1alpha1.PodBusy
	node, known := v.Nodes[p.Spec.NodeName]
	switch phase := phaseOfPod(p); {
	case p.DeletionTimestamp != nil:
		s.phase, s.wasBusy = pool.Terminating, busy
	case phase == corev1.PodSucceeded:
		s.phase, s.ended, s.wasBusy = pool.Failed, ended(p), busy
		s.reason = "it ended with exit code 0 while it waited for work"
	case phase == corev1.PodFailed:
		s.phase, s.ended, s.reason, s.wasBusy = pool.Failed, ended(p), whyFailed(p), busy || disrupted(p)
	case busy:
		s.phase = pool.Busy
	case label == v1alpha1.PodRetiring:
		s.phase = pool.Retiring
	case known && !node.Ready:
		s.phase, s.reason = pool.Starting, fmt.Sprintf("node %s does not report", p.Spec.NodeName)
	case !Ready(p):
		s.phase, s.reason = pool.Starting, whyStuck(p)
	default:
		s.phase = pool.Idle
	}
	return s
}

// disrupted says whether a pod was ended from outside: for its node, or for another pod. That says nothing against the
// template.
func disrupted(p *corev1.Pod) bool {
	c := condition(p, corev1.DisruptionTarget)
	return c != nil && c.Status == corev1.ConditionTrue
}
