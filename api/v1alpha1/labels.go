// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Labels and annotations. All but the busy annotation begin with this project's own prefix.
const (
	// LabelName names the pool. On every Job and pod of a pool; written when they are made, read to find them.
	LabelName = "hsj.paia.tech/name"

	// LabelState is the state of a pod as the operator last decided it (see PodState). Written by the operator alone; read
	// by whoever hands out work: a dispatcher that marks a pod busy should test that it is still idle in the same
	// request, so that a pod that is about to be retired isn't given work. With assignment Push it is the claim that makes
	// an idle pod busy, by such a test.
	LabelState = "hsj.paia.tech/state"

	// LabelRevision is a hash of what the Job was built from. On Jobs and pods; Jobs of another revision are replaced as
	// updateStrategy says.
	LabelRevision = "hsj.paia.tech/revision"

	// LabelPool names the pool that a Job's pods shall come from. On Jobs and in the templates that make Jobs; written by
	// the user, read by the webhook and the launcher.
	LabelPool = "hsj.paia.tech/pool"

	// LabelLaunch names the pool that a launch's pod was meant to come from. On the pods of launches, warm and cold;
	// written by the claim and by cold creations alone, read by the launcher, which sees no other pods.
	LabelLaunch = "hsj.paia.tech/launch"

	// AnnotationPayload is the launch as JSON: command, args and env. On standby pods, empty from the start, so that the
	// file that shows it exists; written by the claim, read by the entrypoint in the pod.
	AnnotationPayload = "hsj.paia.tech/payload"

	// AnnotationGatewayCA is the certificate of the authority, in PEM, by which the entrypoint knows the gateway. On pods
	// with the entrypoint; written when they are made, read by the entrypoint.
	AnnotationGatewayCA = "hsj.paia.tech/gateway-ca"

	// AnnotationStart says how a pod of a launch started: StartWarm or StartCold. Written by the claim and by cold
	// creations; read by people.
	AnnotationStart = "hsj.paia.tech/start"

	// AnnotationColdReason says why a pod of a launch was not taken from the pool. On cold pods; written when they are
	// made, read by people.
	AnnotationColdReason = "hsj.paia.tech/cold-reason"

	// AnnotationGang makes a launch take all its pods from the pool at once, or none. On Jobs, with the value "true";
	// written by the user, read by the launcher.
	AnnotationGang = "hsj.paia.tech/gang"

	// AnnotationPriority is an integer that orders the launches that wait for a pod, greatest first. On Jobs; written by
	// the user, read by the launcher.
	AnnotationPriority = "hsj.paia.tech/priority"

	// AnnotationTraceparent is the trace that a launch is a part of, as W3C Trace Context has it in its header of that name.
	// On Jobs; written by the user or, with tracing on, by the webhook, read by the launcher.
	AnnotationTraceparent = "hsj.paia.tech/traceparent"

	// AnnotationDrained is what a pool's idleTarget and minReplicas were before it was drained, as JSON. On HotStandbyJobs;
	// written by kubectl hsj drain, read and removed by kubectl hsj resume.
	AnnotationDrained = "hsj.paia.tech/drained"

	// AnnotationKubeletProbe names the container whose readinessProbe is the pool's busy command. On pods that were built
	// so; on others the command is run through the API server.
	AnnotationKubeletProbe = "hsj.paia.tech/kubelet-probe"

	// AnnotationBusy is the default of busyProbe.annotationKey. Written by the workload or whoever gives it work, with the
	// value "true" in any letter case.
	AnnotationBusy = "paia.tech/busy"
)

// Values of AnnotationStart.
const (
	StartWarm = "warm" // the pod was taken from the pool
	StartCold = "cold" // the pod was made for the launch
)

const (
	// ManagedByLauncher is the spec.managedBy of Jobs that the launcher runs. Written by the webhook or the user; read by
	// the launcher, and by the cluster's own Job controller, which leaves such Jobs alone.
	ManagedByLauncher = "hsj.paia.tech/launcher"

	// TokenAudience is the audience of the service account tokens by which pods prove to the gateway who they are.
	TokenAudience = "hsj.paia.tech"
)

// PodState is a value of LabelState.
type PodState string

// The states of a pod.
const (
	PodStarting PodState = "starting" // not warm yet, with assignment Pull
	PodIdle     PodState = "idle"     // without work; warm, or with assignment Push as soon as it is ready
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
