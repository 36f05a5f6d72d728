// SPDX-License-Identifier: Apache-2.0

package lab

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/paia-tech/hotstandbyjob/lab/internal/simnode"
)

// ExitAnnotation ends a pod on a simulated node with the exit code that it holds: "0" makes the pod Succeeded, any
// other number Failed. Without it such pods stay Running.
const ExitAnnotation = simnode.ExitAnnotation

// ReadyAnnotation says of a new pod on a simulated node whether its containers become ready: all do, but for "false".
const ReadyAnnotation = simnode.ReadyAnnotation

// OnSimulatedNode makes a pod go to a simulated node: it selects their label and tolerates their taint.
func OnSimulatedNode(spec *corev1.PodSpec) {
	if spec.NodeSelector == nil {
		spec.NodeSelector = map[string]string{}
	}
	spec.NodeSelector[simnode.LabelKey] = simnode.LabelValue
	spec.Tolerations = append(spec.Tolerations, corev1.Toleration{
		Key: simnode.TaintKey, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule,
	})
}

// Simulated says whether a pod goes to a simulated node, and nowhere else.
func Simulated(spec *corev1.PodSpec) bool {
	return spec.NodeSelector[simnode.LabelKey] == simnode.LabelValue
}
