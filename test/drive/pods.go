// SPDX-License-Identifier: Apache-2.0

// Package drive does in a cluster what tests and benchmarks both need done, and knows neither: it lets the pods of simulated
// nodes live, hears what commands say of themselves, and counts what the API server has written.
package drive

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Finish ends a pod on a simulated node with an exit code, by the one write that its kubelet would make. It is no error that the pod
// has ended, is gone, or is another by now.
func Finish(ctx context.Context, c client.Client, p *corev1.Pod, code int32) error {
	if podutil.IsPodPhaseTerminal(p.Status.Phase) {
		return nil // a second write would be another end
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": p.UID}, "status": ended(p, code, metav1.Now())})
	if err != nil {
		return fmt.Errorf("end pod %s: %w", p.Name, err)
	}
	err = c.Status().Patch(ctx, p.DeepCopy(), client.RawPatch(types.StrategicMergePatchType, patch))
	if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
		return fmt.Errorf("end pod %s: %w", p.Name, err)
	}
	return nil
}

// ended is the status of a pod all of whose containers have ended.
func ended(p *corev1.Pod, code int32, at metav1.Time) corev1.PodStatus {
	s := corev1.PodStatus{Phase: corev1.PodSucceeded}
	containerReason, podReason := "Completed", "PodCompleted"
	if code != 0 {
		s.Phase, containerReason, podReason = corev1.PodFailed, "Error", "PodFailed"
	}
	for _, condition := range []corev1.PodConditionType{corev1.PodReady, corev1.ContainersReady} {
		s.Conditions = append(s.Conditions, corev1.PodCondition{
			Type: condition, Status: corev1.ConditionFalse, Reason: podReason, LastTransitionTime: at,
		})
	}
	for _, c := range p.Spec.Containers {
		s.ContainerStatuses = append(s.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, Started: new(false), State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				ExitCode: code, Reason: containerReason, StartedAt: ptr.Deref(p.Status.StartTime, at), FinishedAt: at,
			}},
		})
	}
	return s
}

// Log takes what is worth saying but is no failure yet.
type Log func(format string, args ...any)

// pause is before something that failed is tried again.
func pause(ctx context.Context, log Log, what string, err error) {
	if ctx.Err() != nil {
		return
	}
	log("%s: %v", what, err)
	sleep(ctx, time.Second)
}

// sleep waits.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
