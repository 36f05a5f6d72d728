// SPDX-License-Identifier: Apache-2.0

package unit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/signal"
)

// noon is now in every test. Pods were made an hour before, and became warm, or ended, half an hour before.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

const (
	made     = -time.Hour
	happened = -30 * time.Minute
)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(noon.Add(d)) }

// runningPod is a pod that works and is ready, in a container named worker on the node "n".
func runningPod(name string, label v1alpha1.PodState) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: types.UID(name), CreationTimestamp: ago(made),
			Labels: map[string]string{}, Annotations: map[string]string{},
		},
		Spec: corev1.PodSpec{NodeName: "n", Containers: []corev1.Container{{Name: "worker"}}},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning,
			Conditions: []corev1.PodCondition{
				{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
				{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: ago(happened)},
			},
			ContainerStatuses: []corev1.ContainerStatus{{
				Name: "worker", Ready: true, Started: new(true),
				State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(happened)}},
			}},
		},
	}
	if label != "" {
		p.Labels[v1alpha1.LabelState] = string(label)
	}
	return p
}

// setReady makes a pod ready, or not, by its container.
func setReady(p *corev1.Pod, ready bool) {
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	p.Status.Conditions[1].Status = status
	p.Status.ContainerStatuses[0].Ready = ready
}

func endPod(p *corev1.Pod, phase corev1.PodPhase, exitCode int32) {
	setReady(p, false)
	p.Status.Phase = phase
	p.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: exitCode, Reason: "Error", FinishedAt: ago(happened),
	}}
}

// kinds are pods of mode annotation, by what they do. What follows a plus is their busy annotation or deletion.
var kinds = map[string]func(p *corev1.Pod){
	"pending": func(p *corev1.Pod) {
		p.Labels[v1alpha1.LabelState] = string(v1alpha1.PodStarting)
		p.Spec.NodeName, p.Status = "", corev1.PodStatus{Phase: corev1.PodPending}
	},
	"warm":      func(p *corev1.Pod) { p.Labels[v1alpha1.LabelState] = string(v1alpha1.PodStarting) },
	"idle":      func(p *corev1.Pod) { p.Labels[v1alpha1.LabelState] = string(v1alpha1.PodIdle) },
	"busy":      func(p *corev1.Pod) { p.Labels[v1alpha1.LabelState] = string(v1alpha1.PodBusy); annotate(p) },
	"turned":    func(p *corev1.Pod) { p.Labels[v1alpha1.LabelState] = string(v1alpha1.PodIdle); annotate(p) },
	"released":  func(p *corev1.Pod) { p.Labels[v1alpha1.LabelState] = string(v1alpha1.PodBusy) },
	"fenced":    func(p *corev1.Pod) { p.Labels[v1alpha1.LabelState] = string(v1alpha1.PodRetiring) },
	"caught":    func(p *corev1.Pod) { p.Labels[v1alpha1.LabelState] = string(v1alpha1.PodRetiring); annotate(p) },
	"lost":      func(p *corev1.Pod) { p.Labels[v1alpha1.LabelState] = string(v1alpha1.PodIdle); setReady(p, false) },
	"succeeded": func(p *corev1.Pod) { endPod(p, corev1.PodSucceeded, 0) },
	"hasty":     func(p *corev1.Pod) { endAtOnce(p) },
	"quick":     func(p *corev1.Pod) { endAtOnce(p); p.Labels[v1alpha1.LabelState] = string(v1alpha1.PodBusy) },
	"sudden":    func(p *corev1.Pod) { endAtOnce(p); annotate(p) },
	"failed":    func(p *corev1.Pod) { endPod(p, corev1.PodFailed, 3) },
	"fell":      func(p *corev1.Pod) { endPod(p, corev1.PodFailed, 3); annotate(p) },
}

// endAtOnce has a pod succeed a second after it began.
func endAtOnce(p *corev1.Pod) {
	endPod(p, corev1.PodSucceeded, 0)
	p.Status.ContainerStatuses[0].State.Terminated.StartedAt = ago(happened - time.Second)
}

func annotate(p *corev1.Pod) { p.Annotations[v1alpha1.AnnotationBusy] = "true" }

// podsOf are pods of these kinds, such as "idle, busy, failed". One that is leaving is being deleted: "leaving idle". A
// number before it is its index: "2 idle".
func podsOf(t *testing.T, text string) []*corev1.Pod {
	t.Helper()
	var pods []*corev1.Pod
	for i, word := range strings.Split(text, ",") {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		p := runningPod(fmt.Sprintf("p%d", i), "")
		if index, rest, ok := strings.Cut(word, " "); ok && index != "leaving" {
			p.Annotations[batchv1.JobCompletionIndexAnnotation], word = index, rest
		}
		word, leaving := strings.CutPrefix(word, "leaving ")
		if !leaving {
			word = strings.TrimSpace(word)
		}
		kind, ok := kinds[word]
		if !ok {
			t.Fatalf("there is no pod of the kind %q", word)
		}
		kind(p)
		if leaving {
			p.DeletionTimestamp = new(ago(-time.Second))
		}
		pods = append(pods, p)
	}
	return pods
}

// jobOf is a Job of one try, of the current revision.
func jobOf(conditions ...batchv1.JobCondition) *batchv1.Job {
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: "demo-w-a", UID: "job", CreationTimestamp: ago(made),
			Labels: map[string]string{v1alpha1.LabelRevision: "r1"},
		},
		Spec:   batchv1.JobSpec{BackoffLimit: new(int32(0))},
		Status: batchv1.JobStatus{Conditions: conditions},
	}
}

func done(t batchv1.JobConditionType) batchv1.JobCondition {
	return batchv1.JobCondition{Type: t, Status: corev1.ConditionTrue, LastTransitionTime: ago(-time.Minute), Message: "says the Job"}
}

// viewOf is how pods are looked at in a mode, with readings by their names.
func viewOf(probe v1alpha1.BusyProbe, readings map[string]signal.Reading) View {
	return View{Now: noon, Probe: probe, Readings: readings, Nodes: map[string]Node{"n": {Ready: true}}, Revision: "r1"}
}

func annotationView() View {
	return viewOf(v1alpha1.BusyProbe{Mode: v1alpha1.BusyByAnnotation}, nil)
}

// outOfTries is the condition of a Job whose pods failed, or were deleted, more often than its backoffLimit says.
func outOfTries() batchv1.JobCondition {
	c := done(batchv1.JobFailed)
	c.Reason = batchv1.JobReasonBackoffLimitExceeded
	return c
}
