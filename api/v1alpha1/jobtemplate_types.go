// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// JobTemplate is what a unit is made from. It takes the fields of a batch/v1 JobSpec, or, instead of its template, the
// shorthand image, command, args, env, imagePullPolicy and resources for a pod with one container named "worker". With
// assignment: Push it has the pods' template or the shorthand, and no other field.
// See https://kubernetes.io/docs/concepts/workloads/controllers/job/ for the fields of a Job.
//
// +kubebuilder:validation:XValidation:rule="has(self.template) != has(self.image)",message="give either template (a pod template) or image (the shorthand), not both"
// +kubebuilder:validation:XValidation:rule="!has(self.template) || !(has(self.command) || has(self.args) || has(self.env) || has(self.imagePullPolicy) || has(self.resources))",message="command, args, env, imagePullPolicy and resources are the shorthand that goes with image; with template, set them on its containers"
type JobTemplate struct {
	// image is the shorthand's container image. Exactly one of image and template is given.
	// +optional
	// +kubebuilder:validation:MinLength=1
	Image string `json:"image,omitempty"`

	// command is the shorthand's command; the image's own where it isn't given.
	// +optional
	// +listType=atomic
	Command []string `json:"command,omitempty"`

	// args are the shorthand's arguments.
	// +optional
	// +listType=atomic
	Args []string `json:"args,omitempty"`

	// env is the shorthand's environment.
	// +optional
	// +listType=map
	// +listMapKey=name
	Env []corev1.EnvVar `json:"env,omitempty"`

	// imagePullPolicy is the shorthand's: Always, IfNotPresent or Never.
	// +optional
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty"`

	// resources are the shorthand's requests and limits.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`

	// template is the pods' template. Its restartPolicy is always Never with assignment: Pull: a unit that fails is
	// replaced. With Push it is Never or OnFailure, that of the Jobs that are started in the pods, and defaults to Never.
	// `kubectl explain job.spec.template` describes its fields, and so does
	// https://kubernetes.io/docs/concepts/workloads/pods/#pod-templates.
	// +optional
	Template *corev1.PodTemplateSpec `json:"template,omitempty"`

	// parallelism is the number of pods of a unit. A unit is busy as soon as one of its pods is, and idle when all are.
	// Defaults to 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Parallelism *int32 `json:"parallelism,omitempty"`

	// completions is always equal to parallelism: every pod of a unit runs once. Another value is replaced, and an Event
	// says so.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Completions *int32 `json:"completions,omitempty"`

	// completionMode is that of the Job: NonIndexed or Indexed. Defaults to NonIndexed; layout: SharedJob needs Indexed.
	// +optional
	// +kubebuilder:validation:Enum=NonIndexed;Indexed
	CompletionMode *batchv1.CompletionMode `json:"completionMode,omitempty"`

	// backoffLimit is how often a unit's pods are started again after they failed. Defaults to 6, as for any Job; a pool
	// mostly wants 0: the operator replaces units that fail.
	// +optional
	// +kubebuilder:validation:Minimum=0
	BackoffLimit *int32 `json:"backoffLimit,omitempty"`

	// backoffLimitPerIndex is that of the Job; for Indexed Jobs.
	// +optional
	// +kubebuilder:validation:Minimum=0
	BackoffLimitPerIndex *int32 `json:"backoffLimitPerIndex,omitempty"`

	// maxFailedIndexes is that of the Job; for Indexed Jobs.
	// +optional
	// +kubebuilder:validation:Minimum=0
	MaxFailedIndexes *int32 `json:"maxFailedIndexes,omitempty"`

	// activeDeadlineSeconds is that of the Job: a unit, idle or busy, is ended when it is so old, in seconds.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ActiveDeadlineSeconds *int64 `json:"activeDeadlineSeconds,omitempty"`

	// ttlSecondsAfterFinished is how long a finished unit is kept, in seconds.
	// +optional
	// +kubebuilder:validation:Minimum=0
	TTLSecondsAfterFinished *int32 `json:"ttlSecondsAfterFinished,omitempty"`

	// suspend is that of the Job: while it is true no pod of a unit is started.
	// +optional
	Suspend *bool `json:"suspend,omitempty"`

	// podFailurePolicy is that of the Job.
	// +optional
	PodFailurePolicy *batchv1.PodFailurePolicy `json:"podFailurePolicy,omitempty"`

	// successPolicy is that of the Job; for Indexed Jobs.
	// +optional
	SuccessPolicy *batchv1.SuccessPolicy `json:"successPolicy,omitempty"`

	// podReplacementPolicy is that of the Job: TerminatingOrFailed or Failed.
	// +optional
	// +kubebuilder:validation:Enum=TerminatingOrFailed;Failed
	PodReplacementPolicy *batchv1.PodReplacementPolicy `json:"podReplacementPolicy,omitempty"`

	// managedBy is that of the Job: the controller that runs it. Unset means Kubernetes' own.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	ManagedBy *string `json:"managedBy,omitempty"`
}
