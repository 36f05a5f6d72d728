// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Labels and annotations. All but the busy annotation begin with this project's own prefix.
const (
	// LabelName names the pool. On every Job and pod of a pool; written when they are made, read to find them.
	LabelName = "hsj.paia.tech/name"

	// LabelState is the state of a pod as the operator last decided it (see PodState). Written by the operator alone; read
	// by whoever hands out work: a dispatcher that marks a pod busy should test that it is still idle in the same
	// request, so that a pod that is about to be retired isn't given work.
	LabelState = "hsj.paia.tech/state"

	// LabelRevision is a hash of what the Job was built from. On Jobs and pods; Jobs of another revision are replaced as
	// updateStrategy says.
	LabelRevision = "hsj.paia.tech/revision"

	// AnnotationKubeletProbe names the container whose readinessProbe is the pool's busy command. On pods that were built
	// so; on others the command is run through the API server.
	AnnotationKubeletProbe = "hsj.paia.tech/kubelet-probe"

	// AnnotationBusy is the default of busyProbe.annotationKey. Written by the workload or whoever gives it work, with the
	// value "true" in any letter case.
	AnnotationBusy = "paia.tech/busy"
)

// PodState is a value of LabelState.
type PodState string

// The states of a pod.
const (
	PodStarting PodState = "starting" // not warm yet
	PodIdle     PodState = "idle"     // warm, and without work
	PodBusy     PodState = "busy"     // works
	PodRetiring PodState = "retiring" // will be deleted: give it no work
)

// Types of the conditions of a HotStandbyJob.
const (
	// ConditionReady is True while as many units are idle as the pool promises.
	ConditionReady = "Ready"
	// ConditionProgressing is True while units are being made, replaced or retired, and False when there is nothing to do
	// or something stands in the way: its reason says which.
	ConditionProgressing = "Progressing"
	// ConditionDegraded is True while something needs a person: units fail, the server refuses them, or their busy signal
	// can't be read.
	ConditionDegraded = "Degraded"
	// ConditionAtCapacity is True while maxReplicas keeps the pool from having idleTarget idle units.
	ConditionAtCapacity = "AtCapacity"
)
