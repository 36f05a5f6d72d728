// SPDX-License-Identifier: Apache-2.0

// Package object turns a HotStandbyJob into the objects of its units. It is pure: the same HotStandbyJob always gives
// the same objects, and nothing is read or written.
package object

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

const (
	// SafeToEvict tells the cluster autoscaler whether a pod may be moved.
	SafeToEvict = "cluster-autoscaler.kubernetes.io/safe-to-evict"
	// DoNotDisrupt tells Karpenter that a pod must not be moved.
	DoNotDisrupt = "karpenter.sh/do-not-disrupt"

	// PodRetired is the pod condition that makes the index of a shared Job fail for good when its idle pod is retired, so
	// that the Job doesn't start it again.
	PodRetired corev1.PodConditionType = "hsj.paia.tech/Retired"
	// ReasonRetired is the reason of PodRetired.
	ReasonRetired = "Retired"

	// defaultBackoffLimit is that of batch/v1 Jobs.
	defaultBackoffLimit = 6
)

// Parallelism is the number of pods of a unit.
func Parallelism(h *v1alpha1.HotStandbyJob) int32 {
	return max(1, ptr.Deref(h.Spec.JobTemplate.Parallelism, 1))
}

// Job is the Job of one unit. Its name is not set. The error names the field that makes it impossible. The entrypoint is
// in its pods where these report whether they are busy.
func Job(h *v1alpha1.HotStandbyJob, e Entrypoint) (*batchv1.Job, error) {
	job, err := job(h, e)
	if err != nil {
		return nil, err
	}
	t := h.Spec.JobTemplate
	job.Spec.Parallelism = new(Parallelism(h))
	job.Spec.Completions = new(Parallelism(h))
	job.Spec.CompletionMode = t.CompletionMode
	job.Spec.BackoffLimit = t.BackoffLimit
	job.Spec.BackoffLimitPerIndex = t.BackoffLimitPerIndex
	job.Spec.MaxFailedIndexes = t.MaxFailedIndexes
	job.Spec.ActiveDeadlineSeconds = t.ActiveDeadlineSeconds
	job.Spec.PodFailurePolicy = t.PodFailurePolicy.DeepCopy()
	job.Spec.SuccessPolicy = t.SuccessPolicy.DeepCopy()
	job.Spec.PodReplacementPolicy = t.PodReplacementPolicy
	return job, nil
}

// SharedJob is the Job whose indexes are units, each of Parallelism indexes, with room for so many units. It is elastic:
// parallelism and completions are equal and can be changed together.
func SharedJob(h *v1alpha1.HotStandbyJob, e Entrypoint, units int32) (*batchv1.Job, error) {
	job, err := job(h, e)
	if err != nil {
		return nil, err
	}
	t := h.Spec.JobTemplate
	job.Spec.Parallelism = new(units * Parallelism(h))
	job.Spec.Completions = new(units * Parallelism(h))
	job.Spec.CompletionMode = new(batchv1.IndexedCompletion)
	job.Spec.BackoffLimitPerIndex = new(ptr.Deref(t.BackoffLimitPerIndex, ptr.Deref(t.BackoffLimit, defaultBackoffLimit)))
	job.Spec.PodReplacementPolicy = new(batchv1.Failed) // the only one that goes with a podFailurePolicy
	job.Spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
		Action:          batchv1.PodFailurePolicyActionFailIndex,
		OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: PodRetired, Status: corev1.ConditionTrue}},
	}}}
	if t.PodFailurePolicy != nil {
		job.Spec.PodFailurePolicy.Rules = append(job.Spec.PodFailurePolicy.Rules, t.PodFailurePolicy.DeepCopy().Rules...)
	}
	return job, nil
}

// job is what both layouts share.
func job(h *v1alpha1.HotStandbyJob, e Entrypoint) (*batchv1.Job, error) {
	template, err := podTemplate(h, e)
	if err != nil {
		return nil, err
	}
	return &batchv1.Job{
		TypeMeta: metav1.TypeMeta{APIVersion: batchv1.SchemeGroupVersion.String(), Kind: "Job"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       h.Namespace,
			Labels:          map[string]string{v1alpha1.LabelName: h.Name, v1alpha1.LabelRevision: Revision(h)},
			OwnerReferences: []metav1.OwnerReference{Owner(h)},
		},
		Spec: batchv1.JobSpec{
			Template:                *template,
			TTLSecondsAfterFinished: h.Spec.JobTemplate.TTLSecondsAfterFinished,
			Suspend:                 h.Spec.JobTemplate.Suspend,
			ManagedBy:               h.Spec.JobTemplate.ManagedBy,
		},
	}, nil
}

// Owner is the reference to a HotStandbyJob that its Jobs and standby pods carry.
func Owner(h *v1alpha1.HotStandbyJob) metav1.OwnerReference {
	return *metav1.NewControllerRef(h, v1alpha1.SchemeGroupVersion.WithKind("HotStandbyJob"))
}

// NamePrefix is what the names of a pool's Jobs and standby pods begin with; five characters of [a-z0-9] follow.
func NamePrefix(h *v1alpha1.HotStandbyJob) string { return h.Name + "-w-" }

// Pod is the pod that a Job's controller would make, for asking the server whether it would take it.
func Pod(job *batchv1.Job) *corev1.Pod {
	template := job.Spec.Template.DeepCopy()
	pod := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: template.ObjectMeta,
		Spec:       template.Spec,
	}
	pod.Name = ""
	pod.GenerateName = job.Labels[v1alpha1.LabelName] + "-w-"
	pod.Namespace = job.Namespace
	return pod
}

// Overridden names the fields of jobTemplate whose given values are replaced, and by what.
func Overridden(h *v1alpha1.HotStandbyJob) []string {
	var out []string
	t := h.Spec.JobTemplate
	if t.Completions != nil && *t.Completions != Parallelism(h) {
		out = append(out, "jobTemplate.completions is always equal to parallelism")
	}
	push := h.Spec.Assignment == v1alpha1.AssignmentPush
	if !push && t.Template != nil && t.Template.Spec.RestartPolicy != "" && t.Template.Spec.RestartPolicy != corev1.RestartPolicyNever {
		out = append(out, "jobTemplate.template.spec.restartPolicy is always Never")
	}
	if h.Spec.Layout == v1alpha1.LayoutSharedJob && ptr.Deref(t.PodReplacementPolicy, batchv1.Failed) != batchv1.Failed {
		out = append(out, "jobTemplate.podReplacementPolicy is always Failed with layout: SharedJob")
	}
	return out
}
