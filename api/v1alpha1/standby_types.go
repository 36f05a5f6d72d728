// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// WhenEmpty says what becomes of a launch when no pod is idle.
// +kubebuilder:validation:Enum=ColdStart;Wait;Reject
type WhenEmpty string

// What becomes of a launch when no pod is idle.
const (
	WhenEmptyColdStart WhenEmpty = "ColdStart"
	WhenEmptyWait      WhenEmpty = "Wait"
	WhenEmptyReject    WhenEmpty = "Reject"
)

// StandbySpec says how the pods of a pool with assignment: Push wait for work, and how they get it. The operator puts a
// small program in front of one container's command: it runs the warm-up, waits, and then runs the command of the Job
// that the pod was given to, or the container's own where the Job has none. The container's command must be in the
// template: what an image runs by itself can't be known.
type StandbySpec struct {
	// container is the one whose command waits for work: one of jobTemplate.template.spec.containers; with the shorthand
	// it is named worker. It can't have probes or lifecycle hooks: while it waits there is nothing that could answer.
	// Defaults to the first.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Container string `json:"container,omitempty"`

	// warmup is run in the container before it waits for work, such as to fill caches.
	// +optional
	Warmup *Warmup `json:"warmup,omitempty"`

	// whenEmpty says what becomes of a Job when no pod is idle.
	// ColdStart: its pods are created as the Job describes them.
	// Wait: it starts as soon as a pod becomes idle, by priority (the Job's annotation hsj.paia.tech/priority), then by age.
	// Reject: it fails, with a condition that says so.
	// Defaults to ColdStart.
	// +optional
	// +default="ColdStart"
	WhenEmpty WhenEmpty `json:"whenEmpty,omitempty"`

	// maxIdleSeconds is how long a pod may be idle, in seconds; then it is replaced, one at a time, each when its
	// replacement is idle or others still are. Unset means for ever.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxIdleSeconds *int32 `json:"maxIdleSeconds,omitempty"`

	// startTimeoutSeconds is how long a pod may take to start the command that it was given, in seconds; then it is
	// deleted, and the Job gets another pod. Defaults to 30.
	// +optional
	// +default=30
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600
	StartTimeoutSeconds *int32 `json:"startTimeoutSeconds,omitempty"`
}

// Warmup is a command that makes a pod warm. While it runs the pod is starting; if it fails, the pod fails.
type Warmup struct {
	// command and its arguments; no shell is involved. It runs in the container, with its environment and working
	// directory.
	// +required
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1024
	// +listType=atomic
	Command []string `json:"command"`

	// timeoutSeconds is how long the command may take, in seconds; a longer one has failed. Defaults to 300.
	// +optional
	// +default=300
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	TimeoutSeconds int32 `json:"timeoutSeconds,omitempty"`
}
