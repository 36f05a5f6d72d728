// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"cmp"
	"slices"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/client/launcherv1"
)

// unknownCode is the exit code of a Job that failed before any of its pods did, or of a pod that has none.
const unknownCode = -1

// story turns what a Job and its pods are into what has happened since, each once. It does no I/O.
type story struct {
	uid  types.UID // of the Job
	pods map[types.UID]*chapter
	code *int32 // of the pod that failed first, or else of the one that ended last
	fail bool   // a pod has failed
}

// chapter is what was told of a pod.
type chapter struct {
	name                     string
	warm                     bool
	bound, started, finished bool
}

func newStory(job types.UID) *story { return &story{uid: job, pods: map[types.UID]*chapter{}} }

// pod tells what is new of a pod.
func (s *story) pod(p *corev1.Pod, gone bool) []*launcherv1.LaunchResponse {
	if !owned(p, s.uid) {
		return nil
	}
	c, ok := s.pods[p.UID]
	if !ok {
		c = &chapter{name: p.Name, warm: p.Annotations[v1alpha1.AnnotationStart] == v1alpha1.StartWarm}
		s.pods[p.UID] = c
	}
	var events []*launcherv1.LaunchResponse
	ended := hasEnded(p)
	if !c.bound && (ended || isPlaced(p)) {
		c.bound = true
		events = append(events, &launcherv1.LaunchResponse{Event: &launcherv1.LaunchResponse_Bound{Bound: boundOf(p)}})
	}
	if hasStarted(p, c.warm, ended) {
		events = append(events, s.started(p.UID)...)
	}
	if !c.finished && (ended || gone) {
		c.finished = true
		events = append(events, s.end(p, gone && !ended))
	}
	return events
}

func hasEnded(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// started tells that a pod runs its command.
func (s *story) started(pod types.UID) []*launcherv1.LaunchResponse {
	c, ok := s.pods[pod]
	if !ok || !c.bound || c.started || c.finished {
		return nil
	}
	c.started = true
	return []*launcherv1.LaunchResponse{{Event: &launcherv1.LaunchResponse_Started{Started: &launcherv1.Started{Pod: c.name}}}}
}

// awaited are the pods of which only they themselves can say that they have started.
func (s *story) awaited() []types.UID {
	var pods []types.UID
	for uid, c := range s.pods {
		if c.warm && c.bound && !c.started && !c.finished {
			pods = append(pods, uid)
		}
	}
	return pods
}

// end tells how a pod has ended.
func (s *story) end(p *corev1.Pod, deleted bool) *launcherv1.LaunchResponse {
	code, reason := exitOf(p)
	if deleted {
		code, reason = unknownCode, "Deleted"
	}
	failed := deleted || p.Status.Phase == corev1.PodFailed
	if !s.fail {
		s.code, s.fail = &code, failed
	}
	return &launcherv1.LaunchResponse{Event: &launcherv1.LaunchResponse_PodFinished{
		PodFinished: &launcherv1.PodFinished{Pod: p.Name, ExitCode: code, Reason: reason},
	}}
}

// finished is how a Job has ended; nil if it hasn't.
func (s *story) finished(j *batchv1.Job, gone bool) *launcherv1.Finished {
	for _, c := range j.Status.Conditions {
		if c.Status != corev1.ConditionTrue || (c.Type != batchv1.JobComplete && c.Type != batchv1.JobFailed) {
			continue
		}
		f := &launcherv1.Finished{Succeeded: c.Type == batchv1.JobComplete, Reason: c.Reason, Message: c.Message}
		switch {
		case f.Succeeded: // pods that failed were replaced
		case s.code != nil && s.fail:
			f.ExitCode = *s.code
		default:
			f.ExitCode = unknownCode
		}
		return f
	}
	if gone {
		return &launcherv1.Finished{Reason: "Deleted", Message: "the Job was deleted before it had ended", ExitCode: unknownCode}
	}
	return nil
}

// owned says whether a pod is a Job's.
func owned(p *corev1.Pod, job types.UID) bool {
	for _, o := range p.OwnerReferences {
		if o.Controller != nil && *o.Controller {
			return o.UID == job
		}
	}
	return false
}

// boundOf is a pod as clients are told of it.
func boundOf(p *corev1.Pod) *launcherv1.Bound {
	b := &launcherv1.Bound{
		Pod: p.Name, PodIp: p.Status.PodIP, Node: p.Spec.NodeName,
		Warm:       p.Annotations[v1alpha1.AnnotationStart] == v1alpha1.StartWarm,
		ColdReason: p.Annotations[v1alpha1.AnnotationColdReason],
	}
	if index, err := strconv.ParseInt(p.Annotations[batchv1.JobCompletionIndexAnnotation], 10, 32); err == nil {
		b.Index = new(int32(index))
	}
	return b
}

// isPlaced says whether a pod can be reached.
func isPlaced(p *corev1.Pod) bool { return p.Status.PodIP != "" && p.Spec.NodeName != "" }

// hasStarted says whether a pod shows that its command has started. The container of a warm one has run all along: until it
// has ended, the pod alone can say when its command has.
func hasStarted(p *corev1.Pod, warm, ended bool) bool {
	return slices.ContainsFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool {
		return ended && c.State.Terminated != nil || !warm && c.State.Running != nil
	})
}

// exitOf is the exit code of a pod that has ended, and why it did: of the container that failed first, if one did.
func exitOf(p *corev1.Pod) (int32, string) {
	var ends []*corev1.ContainerStateTerminated
	for i := range p.Status.ContainerStatuses {
		if t := p.Status.ContainerStatuses[i].State.Terminated; t != nil {
			ends = append(ends, t)
		}
	}
	slices.SortStableFunc(ends, func(a, b *corev1.ContainerStateTerminated) int {
		return cmp.Or(failedFirst(a, b), a.FinishedAt.Compare(b.FinishedAt.Time))
	})
	if len(ends) == 0 {
		return unknownCode, p.Status.Reason
	}
	return ends[0].ExitCode, cmp.Or(p.Status.Reason, ends[0].Reason)
}

func failedFirst(a, b *corev1.ContainerStateTerminated) int {
	switch {
	case a.ExitCode != 0 && b.ExitCode == 0:
		return -1
	case a.ExitCode == 0 && b.ExitCode != 0:
		return 1
	default:
		return 0
	}
}
