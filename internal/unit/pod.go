// SPDX-License-Identifier: Apache-2.0

package unit

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/object"
	"github.com/paia-tech/hotstandbyjob/internal/pool"
	"github.com/paia-tech/hotstandbyjob/internal/signal"
)

// Node is what matters of a pod's node.
type Node struct {
	Ready    bool // it reports that it works
	Cordoned bool // it takes no new pods
}

// View is how pods are looked at.
type View struct {
	Now      time.Time
	Probe    v1alpha1.BusyProbe
	Readings map[string]signal.Reading // of the modes that ask the pod, by its UID
	Nodes    map[string]Node           // by name; one that isn't there isn't known
	Revision string                    // the current one

	ManagesEviction bool // the pool says of its pods whether they may be moved
}

// podState is a pod as the pool sees it.
type podState struct {
	phase   pool.Phase
	wasBusy bool
	running bool // a container runs, or ran
	warm    time.Time
	ended   time.Time
	soon    bool          // Failed: it ended well, but at once
	reason  string        // why it is Unknown, Failed or still Starting, where something stands in the way
	wake    time.Duration // when it will be something else without any event; 0: never
}

// pod says what a pod is doing.
func (v View) pod(p *corev1.Pod) podState {
	s := podState{running: started(p), warm: warmSince(p)}
	label := v1alpha1.PodState(p.Labels[v1alpha1.LabelState])
	wasBusy := label == v1alpha1.PodBusy || v.annotated(p)
	switch phase := phaseOfPod(p); {
	case p.DeletionTimestamp != nil:
		s.phase, s.wasBusy = pool.Terminating, wasBusy
	case phase == corev1.PodSucceeded:
		s.phase, s.ended = pool.Succeeded, ended(p)
		if lived := s.ended.Sub(startedAt(p)); lived < shortest && !wasBusy {
			s.phase, s.soon = pool.Failed, true
			s.reason = fmt.Sprintf("it ended with exit code 0 in less than %s, without having been busy: a standby's command must keep running", shortest)
		}
	case phase == corev1.PodFailed:
		s.phase, s.ended, s.reason, s.wasBusy = pool.Failed, ended(p), whyFailed(p), wasBusy
	case v.annotated(p):
		s.phase = pool.Busy
	case phase != corev1.PodRunning:
		s.phase, s.reason = pool.Starting, whyStuck(p)
	default:
		v.live(p, label, &s)
	}
	return s
}

// phaseOfPod is a pod's phase, and of one whose containers have all ended the phase that it will have in a moment: the
// kubelet says so only when it has cleaned up, and till then the pod is neither ready nor starting.
func phaseOfPod(p *corev1.Pod) corev1.PodPhase {
	final := p.Status.Phase == corev1.PodRunning && p.Spec.RestartPolicy == corev1.RestartPolicyNever
	if !final || len(p.Status.ContainerStatuses) == 0 || len(p.Status.ContainerStatuses) < len(p.Spec.Containers) {
		return p.Status.Phase
	}
	phase := corev1.PodSucceeded
	for _, c := range p.Status.ContainerStatuses {
		switch t := c.State.Terminated; {
		case t == nil:
			return p.Status.Phase
		case t.ExitCode != 0:
			phase = corev1.PodFailed
		}
	}
	return phase
}

// SaysTheSame tells whether nothing has changed between two states of a pod by which somebody can say that it works, or
// by which it is told from others: of what the kubelet writes only whether it runs and is ready.
func SaysTheSame(a, b *corev1.Pod) bool {
	return a.UID == b.UID && b.DeletionTimestamp.Equal(a.DeletionTimestamp) && Ready(a) == Ready(b) && phaseOfPod(a) == phaseOfPod(b) &&
		maps.Equal(a.Labels, b.Labels) && maps.Equal(a.Annotations, b.Annotations)
}

// shortest is how long a pod must have lived to count as one that did its work. Without it a command that ends at once
// would be started again and again for ever.
const shortest = 2 * time.Second

// live says what a running pod is doing, by its label, which tells what it was before, and by its signal.
func (v View) live(p *corev1.Pod, label v1alpha1.PodState, s *podState) {
	node, known := v.Nodes[p.Spec.NodeName]
	switch {
	case known && !node.Ready:
		s.unknown("node "+p.Spec.NodeName+" does not report", label)
	case v.ready(p):
		s.bySignal(v.reading(p, s), label)
	case wasWarm(label) || label == "":
		// It may be at work: a busy pod can be too busy to be ready, and one without a label was made by somebody else.
		s.unknown("it is not ready", label)
	default:
		s.phase, s.reason = pool.Starting, whyStuck(p)
	}
}

// bySignal says what a warm pod is doing.
func (s *podState) bySignal(r signal.Reading, label v1alpha1.PodState) {
	switch r.Signal {
	case signal.Busy:
		s.phase = pool.Busy
	case signal.Idle:
		s.phase = pool.Idle
		if label == v1alpha1.PodRetiring {
			s.phase = pool.Retiring
		}
	case signal.Failed:
		s.phase, s.wasBusy, s.reason = pool.Failed, label == v1alpha1.PodBusy, "it reports an error"
	case signal.Starting:
		s.phase = pool.Starting
		if wasWarm(label) {
			s.unknown("it was warm, and now reports that it is starting", label)
		}
	case signal.Unknown:
		s.unknown(r.Reason, label)
		if r.Last != signal.Unknown {
			s.wasBusy = r.Last == signal.Busy
		}
	}
}

// unknown says that it can't be told whether a pod works; its label tells whether it did.
func (s *podState) unknown(reason string, label v1alpha1.PodState) {
	s.phase, s.wasBusy, s.reason = pool.Unknown, label == v1alpha1.PodBusy, reason
}

// wasWarm says whether a pod with this label has been warm before.
func wasWarm(label v1alpha1.PodState) bool {
	return label == v1alpha1.PodIdle || label == v1alpha1.PodBusy || label == v1alpha1.PodRetiring
}

// reading is what a warm pod says about its work.
func (v View) reading(p *corev1.Pod, s *podState) signal.Reading {
	container := p.Annotations[v1alpha1.AnnotationKubeletProbe]
	switch {
	case v.Probe.Mode == v1alpha1.BusyByExec && container != "":
		return v.kubeletReading(p, container, s)
	case v.Probe.Mode == v1alpha1.BusyByExec || v.Probe.Mode == v1alpha1.BusyByHTTP ||
		v.Probe.Mode == v1alpha1.BusyByRedis || v.Probe.Mode == v1alpha1.BusyByReport:
		r, ok := v.Readings[string(p.UID)]
		if !ok && p.Labels[v1alpha1.LabelState] == string(v1alpha1.PodStarting) {
			return signal.Reading{Signal: signal.Starting}
		}
		if !ok {
			return signal.Reading{Reason: v.unread()}
		}
		return r
	default:
		return signal.Reading{Signal: signal.Idle}
	}
}

// unread says why there is no reading of a pod.
func (v View) unread() string {
	if v.Probe.Mode == v1alpha1.BusyByReport {
		return "it is not connected to the operator's gateway"
	}
	return "its signal has not been read yet"
}

// kubeletReading is what the readinessProbe that runs the busy command says.
func (v View) kubeletReading(p *corev1.Pod, container string, s *podState) signal.Reading {
	success := false
	if c := status(p, container); c != nil {
		success = c.Ready
	}
	e := object.ExecOf(&v.Probe)
	if success == *e.SuccessIsBusy {
		// Not ready means busy here, and a container is not ready either until the command has run for the first time.
		if left := v.firstProbe(e, s); !success && p.Labels[v1alpha1.LabelState] == string(v1alpha1.PodStarting) && left > 0 {
			s.wake = left
			return signal.Reading{Signal: signal.Starting}
		}
		return signal.Reading{Signal: signal.Busy}
	}
	return signal.Reading{Signal: signal.Idle}
}

// firstProbe is how long the kubelet may still take to run the busy command for the first time.
func (v View) firstProbe(e *v1alpha1.ExecProbe, s *podState) time.Duration {
	return s.warm.Add(time.Duration(e.PeriodSeconds+e.TimeoutSeconds+1) * time.Second).Sub(v.Now)
}

// annotated says whether the busy annotation is set.
func (v View) annotated(p *corev1.Pod) bool {
	if v.Probe.Mode != v1alpha1.BusyByAnnotation && v.Probe.Mode != "" {
		return false
	}
	key := v.Probe.AnnotationKey
	if key == "" {
		key = v1alpha1.AnnotationBusy
	}
	return strings.EqualFold(p.Annotations[key], "true")
}

// ready says whether a running pod is warm. The container whose readiness is the busy signal counts once it runs.
func (v View) ready(p *corev1.Pod) bool {
	name := p.Annotations[v1alpha1.AnnotationKubeletProbe]
	if name == "" {
		return Ready(p)
	}
	probed := status(p, name) // a sidecar's is not among the pod's own containers
	if probed == nil || probed.State.Running == nil || !ptr.Deref(probed.Started, false) {
		return false
	}
	return !slices.ContainsFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool {
		return c.Name != name && !c.Ready
	})
}

// Ready says whether a pod is running, ready, and not being deleted.
func Ready(p *corev1.Pod) bool {
	c := condition(p, corev1.PodReady)
	return p.DeletionTimestamp == nil && p.Status.Phase == corev1.PodRunning && c != nil && c.Status == corev1.ConditionTrue
}

func status(p *corev1.Pod, container string) *corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{p.Status.ContainerStatuses, p.Status.InitContainerStatuses} {
		for i := range list {
			if list[i].Name == container {
				return &list[i]
			}
		}
	}
	return nil
}

func condition(p *corev1.Pod, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == t {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

// started says whether any container of the pod's own runs or ran.
func started(p *corev1.Pod) bool {
	for _, c := range p.Status.ContainerStatuses {
		if c.State.Running != nil || c.State.Terminated != nil {
			return true
		}
	}
	return p.Status.Phase == corev1.PodRunning
}

// warmSince is when a pod became ready, or, where readiness is its busy signal, when its containers ran.
func warmSince(p *corev1.Pod) time.Time {
	if c := condition(p, corev1.PodReady); c != nil && c.Status == corev1.ConditionTrue && p.Annotations[v1alpha1.AnnotationKubeletProbe] == "" {
		return c.LastTransitionTime.Time
	}
	var since time.Time
	for _, c := range p.Status.ContainerStatuses {
		if c.State.Running != nil && c.State.Running.StartedAt.After(since) {
			since = c.State.Running.StartedAt.Time
		}
	}
	return since
}

// startedAt is when the first container of a finished pod started.
func startedAt(p *corev1.Pod) time.Time {
	var first time.Time
	for _, c := range p.Status.ContainerStatuses {
		if t := c.State.Terminated; t != nil && !t.StartedAt.IsZero() && (first.IsZero() || t.StartedAt.Time.Before(first)) {
			first = t.StartedAt.Time
		}
	}
	return first
}

// ended is when the last container of a finished pod ended.
func ended(p *corev1.Pod) time.Time {
	t := p.CreationTimestamp.Time
	for _, c := range p.Status.ContainerStatuses {
		if c.State.Terminated != nil && c.State.Terminated.FinishedAt.After(t) {
			t = c.State.Terminated.FinishedAt.Time
		}
	}
	return t
}
