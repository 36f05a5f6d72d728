// SPDX-License-Identifier: Apache-2.0

package launch

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/fit"
)

// Reasons of the Events on Jobs.
const (
	ReasonStartedCold     = "StartedCold"
	ReasonWaiting         = "WaitingForPod"
	ReasonInvalidPriority = "InvalidPriority"
	ReasonInvalidGang     = "InvalidGang"
	ReasonPodReplaced     = "PodReplaced"
)

// notice is an Event on a Job, told once.
type notice struct {
	kind, reason, action, note string
	about                      string // what it is told once about
}

// tell puts an Event on a Job, unless that was done.
func (l *Launcher) tell(job *batchv1.Job, n notice) {
	key := n.reason + " " + n.about
	l.mu.Lock()
	s := l.stateOf(job)
	told := s.told[key]
	s.told[key] = true
	l.mu.Unlock()
	if !told {
		l.deps.Recorder.Eventf(job, nil, n.kind, n.reason, n.action, "%s", n.note)
	}
}

func startsColdFor(kind, about, note string) notice {
	return notice{kind: kind, reason: ReasonStartedCold, action: "Start", about: about, note: note}
}

func noPool(pool string) notice {
	return startsColdFor(corev1.EventTypeWarning, coldNoPool, fmt.Sprintf("starts cold: there is no HotStandbyJob %s in this namespace; create it, or correct the Job's label %s", pool, v1alpha1.LabelPool))
}

func notPush(pool string) notice {
	return startsColdFor(corev1.EventTypeWarning, coldNotPush, fmt.Sprintf("starts cold: HotStandbyJob %s hands out no work, its spec.assignment isn't Push; set it to Push, or take the label %s off the Job", pool, v1alpha1.LabelPool))
}

func differs(pool string, m fit.Mismatch) notice {
	note := fmt.Sprintf("starts cold: %s differs from pool %s: the pool has %q, the Job %q; make them equal", m.Field, pool, m.Pool, m.Job)
	return startsColdFor(corev1.EventTypeWarning, m.Field, note)
}

func noneIdle(pool string) notice {
	return startsColdFor(corev1.EventTypeNormal, coldNoneIdle, fmt.Sprintf("starts cold: no pod of pool %s is idle; raise its idleTarget, or have Jobs wait by standby.whenEmpty: Wait", pool))
}

func gangTooLarge(pool string, capacity int) notice {
	note := fmt.Sprintf("starts cold: pool %s has never more than %d idle pods, and the gang wants more at once; raise its idleTarget or maxReplicas, or lower the Job's parallelism", pool, capacity)
	return startsColdFor(corev1.EventTypeWarning, coldGang, note)
}

func waiting(pool string, before int) notice {
	note := fmt.Sprintf("waits for pods of pool %s; Jobs before it: %d; to wait less, raise the pool's idleTarget or maxReplicas", pool, before)
	return notice{kind: corev1.EventTypeNormal, reason: ReasonWaiting, action: "Wait", note: note}
}

func badPriority(text string) notice {
	note := fmt.Sprintf("the annotation %s is %q and not an integer of 32 bits: taken for 0", v1alpha1.AnnotationPriority, text)
	return notice{kind: corev1.EventTypeWarning, reason: ReasonInvalidPriority, action: "Wait", about: text, note: note}
}

func badGang(text string) notice {
	note := fmt.Sprintf(`the annotation %s is %q and counts as "false": use "true" or "false"`, v1alpha1.AnnotationGang, text)
	return notice{kind: corev1.EventTypeWarning, reason: ReasonInvalidGang, action: "Start", about: text, note: note}
}

func rejected(pool string) notice {
	note := fmt.Sprintf("no pod of pool %s is idle, and its standby.whenEmpty is Reject; create the Job again later, raise idleTarget, or set whenEmpty to Wait or ColdStart", pool)
	return notice{kind: corev1.EventTypeWarning, reason: ReasonPoolEmpty, action: "Reject", note: note}
}

func replaced(pod string) notice {
	note := fmt.Sprintf("pod %s didn't start its command within standby.startTimeoutSeconds: it is deleted, and another takes its place; see whether pods reach the gateway and its node has CPU to spare", pod)
	return notice{kind: corev1.EventTypeWarning, reason: ReasonPodReplaced, action: "Release", about: pod, note: note}
}
