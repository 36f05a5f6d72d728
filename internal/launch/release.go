// SPDX-License-Identifier: Apache-2.0

package launch

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubernetes/pkg/controller"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/protocol"
	"github.com/paia-tech/hotstandbyjob/internal/standby"
)

// podRef names a pod for good.
type podRef struct {
	types.NamespacedName
	uid, job types.UID
	jobName  string
}

// suspectLost looks after a pod that the informer has no more. It is gone, or it has lost the label by which launches are
// found: then it is no longer the Job's, as with Jobs everywhere else, and must be released. One that is gone was marked
// for deletion first, with few exceptions.
func (l *Launcher) suspectLost(pod *corev1.Pod) {
	owner := metav1.GetControllerOf(pod)
	if pod.DeletionTimestamp != nil || owner == nil || owner.Kind != "Job" {
		return
	}
	job := l.jobOf(types.NamespacedName{Namespace: pod.Namespace, Name: owner.Name}, owner.UID)
	if job == nil || !ours(job) || job.DeletionTimestamp != nil {
		return
	}
	l.lost.Add(podRef{NamespacedName: keyOf(pod), uid: pod.UID, job: job.UID, jobName: job.Name})
}

// releaseLost releases pods until its queue is shut down.
func (l *Launcher) releaseLost(ctx context.Context) {
	for {
		ref, quit := l.lost.Get()
		if quit {
			return
		}
		if err := l.release(ctx, ref); err != nil {
			l.deps.Log.Error(err, "release a pod that lost its label", "pod", ref.NamespacedName)
			l.lost.AddRateLimited(ref)
		} else {
			l.lost.Forget(ref)
		}
		l.lost.Done(ref)
	}
}

// release takes the Job's owner reference and finalizer off a pod, as the Job controller does with pods whose labels no
// longer match.
func (l *Launcher) release(ctx context.Context, ref podRef) error {
	pods := l.deps.Client.CoreV1().Pods(ref.Namespace)
	pod, err := pods.Get(ctx, ref.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read pod %s: %w", ref.Name, err)
	}
	owner := metav1.GetControllerOf(pod)
	if pod.UID != ref.uid || owner == nil || owner.UID != ref.job || pod.Labels[v1alpha1.LabelLaunch] != "" {
		return nil
	}
	patch, err := controller.GenerateDeleteOwnerRefStrategicMergeBytes(pod.UID, []types.UID{ref.job}, batchv1.JobTrackingFinalizer)
	if err != nil {
		return fmt.Errorf("release pod %s: %w", ref.Name, err)
	}
	_, err = pods.Patch(ctx, ref.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsInvalid(err) { // gone, or another of its name
		return nil
	}
	if err != nil {
		return fmt.Errorf("release pod %s: %w", ref.Name, err)
	}
	return nil
}

// ReleaseStuck takes a pod that doesn't start what it was given away from its Job and deletes it. The Job then gets
// another pod: one that isn't its own any more is no failure of it, so its backoffLimit isn't touched. The pod goes back
// to the pool first, so that nobody is left without an owner if the deletion fails.
func (l *Launcher) ReleaseStuck(ctx context.Context, stuck standby.Pod) error {
	pods := l.deps.Client.CoreV1().Pods(stuck.Namespace)
	pod, err := pods.Get(ctx, stuck.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read pod %s: %w", stuck.Name, err)
	}
	if !isStuck(pod, stuck) {
		return nil
	}
	owner := metav1.GetControllerOf(pod)
	if err := l.deps.Registry.GiveBack(ctx, pod, stuck.Pool, batchv1.JobTrackingFinalizer); apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		return err
	}
	l.forgetPod(owner.UID, pod.UID)
	if job := l.jobOf(types.NamespacedName{Namespace: pod.Namespace, Name: owner.Name}, owner.UID); job != nil {
		l.tell(job, replaced(pod.Name))
	}
	err = pods.Delete(ctx, pod.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(pod.UID))})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("delete pod %s: %w", stuck.Name, err)
	}
	return nil
}

// isStuck tells whether a pod still has the launch that it didn't start, and may be taken away.
func isStuck(pod *corev1.Pod, stuck standby.Pod) bool {
	owner := metav1.GetControllerOf(pod)
	if pod.UID != stuck.UID || owner == nil || owner.Kind != "Job" {
		return false
	}
	if pod.Labels[v1alpha1.LabelLaunch] == "" || pod.DeletionTimestamp != nil || pod.Status.Phase != corev1.PodRunning {
		return false
	}
	payload, err := protocol.DecodePayload(pod.Annotations[v1alpha1.AnnotationPayload])
	return err == nil && payload.ID == stuck.LaunchID
}

// forgetPod takes a pod out of what is remembered of its Job.
func (l *Launcher) forgetPod(job, pod types.UID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s, ok := l.states[job]; ok {
		delete(s.started, pod)
		delete(s.fresh, pod)
	}
}
