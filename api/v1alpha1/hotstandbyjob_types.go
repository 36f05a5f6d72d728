// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// HotStandbyJob keeps a pool of warm pods for work that must start at once: idleTarget units stay idle on top of however
// many are busy, within minReplicas and maxReplicas. A unit is one Job with its pods.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=hsj
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.idleTarget,statuspath=.status.idleCount,selectorpath=.status.selector
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.busyProbe.mode`,description="How busy pods are told from idle ones; not with assignment: Push"
// +kubebuilder:printcolumn:name="IdleTarget",type=integer,JSONPath=`.spec.idleTarget`,description="Units that shall be idle"
// +kubebuilder:printcolumn:name="Min",type=integer,JSONPath=`.spec.minReplicas`
// +kubebuilder:printcolumn:name="Max",type=integer,JSONPath=`.spec.maxReplicas`
// +kubebuilder:printcolumn:name="Busy",type=integer,JSONPath=`.status.busyCount`
// +kubebuilder:printcolumn:name="Idle",type=integer,JSONPath=`.status.idleCount`
// +kubebuilder:printcolumn:name="ActivePods",type=integer,JSONPath=`.status.activeCount`
// +kubebuilder:printcolumn:name="DesiredActive",type=integer,JSONPath=`.status.desiredActive`
// +kubebuilder:printcolumn:name="ChildJobs",type=integer,JSONPath=`.status.childJobs`
// +kubebuilder:printcolumn:name="ActiveJobs",type=integer,JSONPath=`.status.activeJobs`
// +kubebuilder:printcolumn:name="CompletedJobs",type=integer,JSONPath=`.status.completedJobs`
// +kubebuilder:printcolumn:name="FailedJobs",type=integer,JSONPath=`.status.failedJobs`
// +kubebuilder:printcolumn:name="LastSync",type=date,JSONPath=`.status.lastSyncTime`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Assignment",type=string,JSONPath=`.spec.assignment`,description="How pods get their work"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.layout) || self.spec.layout != 'SharedJob' || size(self.metadata.name) <= 49",message="metadata.name must have at most 49 characters with layout: SharedJob: the unit's index is part of each pod's hostname"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.jobTemplate) || !has(self.spec.jobTemplate.completionMode) || self.spec.jobTemplate.completionMode != 'Indexed' || size(self.metadata.name) + size(string((has(self.spec.jobTemplate.parallelism) ? self.spec.jobTemplate.parallelism : 1) - 1)) <= 54",message="metadata.name must have at most 53 characters with completionMode: Indexed, 52 with parallelism over 10, 51 with parallelism over 100: the index is part of each pod's hostname"
type HotStandbyJob struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the pool shall be.
	// +required
	Spec HotStandbyJobSpec `json:"spec"`

	// status is what the pool was when the operator last looked. It is written when it changes.
	// +optional
	Status HotStandbyJobStatus `json:"status,omitempty,omitzero"`
}

// HotStandbyJobList is a list of HotStandbyJobs.
//
// +kubebuilder:object:root=true
type HotStandbyJobList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []HotStandbyJob `json:"items"`
}

// Assignment says how pods get their work.
// +kubebuilder:validation:Enum=Pull;Push
type Assignment string

// The assignments.
const (
	AssignmentPull Assignment = "Pull"
	AssignmentPush Assignment = "Push"
)

// Layout says how units are laid out over Jobs.
// +kubebuilder:validation:Enum=JobPerUnit;SharedJob
type Layout string

// The layouts.
const (
	LayoutJobPerUnit Layout = "JobPerUnit"
	LayoutSharedJob  Layout = "SharedJob"
)

// HotStandbyJobSpec is what a pool shall be.
//
// +kubebuilder:validation:XValidation:rule="!has(self.standby) || has(self.assignment) && self.assignment == 'Push'",message="standby goes with assignment: Push; set that or remove the block",fieldPath=".standby"
// +kubebuilder:validation:XValidation:rule="!has(self.assignment) || self.assignment != 'Push' || !has(self.busyProbe) || (!has(self.busyProbe.mode) || self.busyProbe.mode == 'annotation') && (!has(self.busyProbe.annotationKey) || size(self.busyProbe.annotationKey) == 0 || self.busyProbe.annotationKey == 'paia.tech/busy') && !has(self.busyProbe.http) && !has(self.busyProbe.exec) && !has(self.busyProbe.redis)",message="busyProbe goes with assignment: Pull; with Push the operator hands out the work and knows which pods are busy: remove the block",fieldPath=".busyProbe"
// +kubebuilder:validation:XValidation:rule="!has(self.assignment) || self.assignment != 'Push' || !has(self.layout) || self.layout != 'SharedJob'",message="layout: SharedJob goes with assignment: Pull; with Push a unit is a plain pod: remove it",fieldPath=".layout"
// +kubebuilder:validation:XValidation:rule="!has(self.assignment) || self.assignment != 'Push' || !(has(self.jobTemplate.parallelism) || has(self.jobTemplate.completions) || has(self.jobTemplate.completionMode) || has(self.jobTemplate.backoffLimit) || has(self.jobTemplate.backoffLimitPerIndex) || has(self.jobTemplate.maxFailedIndexes) || has(self.jobTemplate.activeDeadlineSeconds) || has(self.jobTemplate.ttlSecondsAfterFinished) || has(self.jobTemplate.suspend) || has(self.jobTemplate.podFailurePolicy) || has(self.jobTemplate.successPolicy) || has(self.jobTemplate.podReplacementPolicy) || has(self.jobTemplate.managedBy))",message="jobTemplate can't have parallelism, completions, completionMode, backoffLimit, backoffLimitPerIndex, maxFailedIndexes, activeDeadlineSeconds, ttlSecondsAfterFinished, suspend, podFailurePolicy, successPolicy, podReplacementPolicy or managedBy with assignment: Push: a unit is a plain pod, and the Jobs that are started in it bring their own; remove them",fieldPath=".jobTemplate"
// +kubebuilder:validation:XValidation:rule="!has(self.standby) || !has(self.standby.container) || (has(self.jobTemplate.template) ? has(self.jobTemplate.template.spec) && self.jobTemplate.template.spec.containers.exists(c, c.name == self.standby.container) : self.standby.container == 'worker')",message="standby.container must name one of jobTemplate.template.spec.containers; with the shorthand the container is named worker",fieldPath=".standby"
// +kubebuilder:validation:XValidation:rule="!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",message="minReplicas must not be greater than maxReplicas",fieldPath=".minReplicas"
// +kubebuilder:validation:XValidation:rule="!has(self.selector) || !has(self.selector.matchLabels) || !has(self.jobTemplate.template) || !has(self.jobTemplate.template.metadata) || !has(self.jobTemplate.template.metadata.labels) || self.selector.matchLabels.all(k, !(k in self.jobTemplate.template.metadata.labels) || self.jobTemplate.template.metadata.labels[k] == self.selector.matchLabels[k])",message="selector.matchLabels contradicts jobTemplate.template.metadata.labels: give a label the same value in both, or in one of them only",fieldPath=".selector"
// +kubebuilder:validation:XValidation:rule="!has(self.layout) || self.layout != 'SharedJob' || !has(self.jobTemplate.activeDeadlineSeconds)",message="jobTemplate.activeDeadlineSeconds would end all units at once with layout: SharedJob; set jobTemplate.template.spec.activeDeadlineSeconds instead, which is counted for each pod",fieldPath=".jobTemplate"
// +kubebuilder:validation:XValidation:rule="!has(self.layout) || self.layout != 'SharedJob' || !(has(self.jobTemplate.successPolicy) || has(self.jobTemplate.maxFailedIndexes))",message="jobTemplate.successPolicy and jobTemplate.maxFailedIndexes would end all units at once with layout: SharedJob; remove them or use layout: JobPerUnit",fieldPath=".jobTemplate"
// +kubebuilder:validation:XValidation:rule="!has(self.layout) || self.layout != 'SharedJob' || !has(self.jobTemplate.completionMode) || self.jobTemplate.completionMode == 'Indexed'",message="jobTemplate.completionMode must be Indexed, or not be set, with layout: SharedJob",fieldPath=".jobTemplate"
type HotStandbyJobSpec struct {
	// assignment says how pods get their work.
	// Pull: they fetch it themselves, and busyProbe tells which of them are busy.
	// Push: the operator gives it to them: a Job with the label hsj.paia.tech/pool: <name of the pool> starts in one of
	// them. standby says how.
	// Defaults to Pull.
	// +optional
	// +default="Pull"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="assignment can't be changed: create a pool of another name beside this one, and delete this one when its units are done"
	Assignment Assignment `json:"assignment,omitempty"`

	// paused stops the operator from creating, replacing and retiring units; running ones go on, and status is kept
	// current. Defaults to false.
	// +optional
	Paused bool `json:"paused,omitempty"`

	// idleTarget is the number of units that shall be idle, on top of the busy ones. The scale subresource sets it, so
	// that a HorizontalPodAutoscaler or `kubectl scale` can. Defaults to 0.
	// +optional
	// +default=0
	// +kubebuilder:validation:Minimum=0
	IdleTarget int32 `json:"idleTarget"`

	// minReplicas is the least number of units, busy and idle together. Unset means no lower bound.
	// +optional
	// +nullable
	// +kubebuilder:validation:Minimum=0
	MinReplicas *int32 `json:"minReplicas,omitempty"`

	// maxReplicas is the greatest number of units, busy and idle together; it wins over idleTarget and is never exceeded.
	// Unset means no upper bound.
	// +optional
	// +nullable
	// +kubebuilder:validation:Minimum=0
	MaxReplicas *int32 `json:"maxReplicas,omitempty"`

	// scaleDownDelaySeconds is how long there must have been too many units before idle ones are retired, in seconds.
	// Busy units are never retired. Defaults to 30.
	// +optional
	// +default=30
	// +kubebuilder:validation:Minimum=0
	ScaleDownDelaySeconds *int32 `json:"scaleDownDelaySeconds,omitempty"`

	// selector's labels are added to the pods. Which pods belong to the pool is told by their owner, not by these labels.
	// +optional
	Selector *Selector `json:"selector,omitempty"`

	// layout says how units are laid out over Jobs.
	// JobPerUnit: every unit is a Job of its own.
	// SharedJob: all units are indexes of one Indexed Job, which grows and shrinks; less load on the API server for large
	// pools, but one Job to look at.
	// Defaults to JobPerUnit.
	// +optional
	// +default="JobPerUnit"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="layout can't be changed: create a pool of another name beside this one, and delete this one when its units are done"
	Layout Layout `json:"layout,omitempty"`

	// jobTemplate is what a unit is made from: the spec of a batch/v1 Job, or its shorthand with image and command.
	// +required
	JobTemplate JobTemplate `json:"jobTemplate"`

	// standby says how pods wait for work and get it with assignment: Push; its fields have their defaults where it isn't
	// given.
	// +optional
	Standby *StandbySpec `json:"standby,omitempty"`

	// busyProbe tells busy pods from idle ones with assignment: Pull. Defaults to the annotation paia.tech/busy.
	// +optional
	// +default={}
	BusyProbe BusyProbe `json:"busyProbe,omitempty,omitzero"`

	// updateStrategy says what becomes of idle units after jobTemplate was changed. Busy ones always finish in peace.
	// +optional
	// +default={}
	UpdateStrategy UpdateStrategy `json:"updateStrategy,omitempty,omitzero"`

	// failedUnitsHistoryLimit is how many failed units are kept to look at; older ones are deleted. Defaults to 1.
	// +optional
	// +default=1
	// +kubebuilder:validation:Minimum=0
	FailedUnitsHistoryLimit *int32 `json:"failedUnitsHistoryLimit,omitempty"`

	// succeededUnitsHistoryLimit is how many units that ended well are kept where jobTemplate has no
	// ttlSecondsAfterFinished; with one, that alone decides. Defaults to 3.
	// +optional
	// +default=3
	// +kubebuilder:validation:Minimum=0
	SucceededUnitsHistoryLimit *int32 `json:"succeededUnitsHistoryLimit,omitempty"`
}

// Selector is a set of labels.
type Selector struct {
	// matchLabels are put on every pod of the pool.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 317 && k.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$') && self[k].matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$'))",message="matchLabels must be labels: a key such as app or example.com/app, and a value of at most 63 letters, digits, '-', '_' and '.' that begins and ends with a letter or digit"
	MatchLabels map[string]string `json:"matchLabels,omitempty"`
}

// UpdateStrategyType says when idle units of an old revision are replaced.
// +kubebuilder:validation:Enum=RollingUpdate;OnDelete
type UpdateStrategyType string

// The update strategies.
const (
	UpdateRolling  UpdateStrategyType = "RollingUpdate"
	UpdateOnDelete UpdateStrategyType = "OnDelete"
)

// UpdateStrategy says what becomes of idle units of an old revision.
//
// +kubebuilder:validation:XValidation:rule="!has(self.rollingUpdate) || self.type == 'RollingUpdate'",message="rollingUpdate goes with type: RollingUpdate only",fieldPath=".rollingUpdate"
type UpdateStrategy struct {
	// type is how idle units of an old revision are replaced.
	// RollingUpdate: a few at a time, so that the pool never empties.
	// OnDelete: not at all; new units are made from the new template.
	// Defaults to RollingUpdate.
	// +optional
	// +default="RollingUpdate"
	Type UpdateStrategyType `json:"type,omitempty"`

	// rollingUpdate sets the pace of type RollingUpdate.
	// +optional
	RollingUpdate *RollingUpdate `json:"rollingUpdate,omitempty"`
}

// RollingUpdate sets the pace of a rolling update.
type RollingUpdate struct {
	// maxUnavailable is how many of the promised idle units may be missing while idle units are replaced: a number, or a
	// percentage of them, rounded down, but at least 1. Defaults to 25%.
	// +optional
	// +default="25%"
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 1 : self.matches('^([1-9][0-9]?|100)%$')",message="maxUnavailable must be a number from 1, or a percentage from 1% to 100%"
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
}

// HotStandbyJobStatus is what a pool was when the operator last looked.
type HotStandbyJobStatus struct {
	// conditions are Ready, Progressing, Degraded and AtCapacity.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the metadata.generation that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// busyCount is the number of busy units.
	// +optional
	BusyCount int32 `json:"busyCount"`

	// idleCount is the number of idle units.
	// +optional
	IdleCount int32 `json:"idleCount"`

	// startingCount is the number of units that aren't warm yet.
	// +optional
	StartingCount int32 `json:"startingCount"`

	// unknownCount is the number of units whose busy signal can't be read now. They are neither replaced nor retired.
	// +optional
	UnknownCount int32 `json:"unknownCount"`

	// activeCount is the number of pods that run and aren't being deleted, busy or not.
	// +optional
	ActiveCount int32 `json:"activeCount"`

	// desiredActive is the number of units that there shall be: busy ones plus idleTarget, within the bounds.
	// +optional
	DesiredActive int32 `json:"desiredActive"`

	// childJobs is the number of Jobs of the pool in any state.
	// +optional
	ChildJobs int32 `json:"childJobs"`

	// activeJobs is the number of them that have a pod that is pending or runs.
	// +optional
	ActiveJobs int32 `json:"activeJobs"`

	// completedJobs is the number of them with a succeeded pod and no active one.
	// +optional
	CompletedJobs int32 `json:"completedJobs"`

	// failedJobs is the number of them with a failed pod and no active one.
	// +optional
	FailedJobs int32 `json:"failedJobs"`

	// consecutiveFailures is the number of times in a row that standby units failed; creation slows down with it, from 10
	// seconds to 5 minutes.
	// +optional
	ConsecutiveFailures int32 `json:"consecutiveFailures,omitempty"`

	// lastFailureTime is when a standby unit last failed.
	// +optional
	LastFailureTime *metav1.Time `json:"lastFailureTime,omitempty"`

	// lastSyncTime is when this status was written.
	// +optional
	LastSyncTime *metav1.MicroTime `json:"lastSyncTime,omitempty"`

	// currentRevision is the revision that new units are made from: the value of their label hsj.paia.tech/revision.
	// +optional
	CurrentRevision string `json:"currentRevision,omitempty"`

	// selector finds the pool's pods; for autoscalers that read the scale subresource.
	// +optional
	Selector string `json:"selector,omitempty"`
}
