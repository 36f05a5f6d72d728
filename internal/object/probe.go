// SPDX-License-Identifier: Apache-2.0

package object

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// defaultContainer is the annotation by which kubectl, too, chooses a container when none is named.
const defaultContainer = "kubectl.kubernetes.io/default-container"

// Exec is the exec probe of a pool with its defaults; nil in other modes.
func Exec(h *v1alpha1.HotStandbyJob) *v1alpha1.ExecProbe { return ExecOf(&h.Spec.BusyProbe) }

// ExecOf is a busyProbe's exec probe with its defaults; nil in other modes.
func ExecOf(probe *v1alpha1.BusyProbe) *v1alpha1.ExecProbe {
	if probe.Mode != v1alpha1.BusyByExec {
		return nil
	}
	e := probe.Exec.DeepCopy()
	if e == nil {
		e = &v1alpha1.ExecProbe{}
	}
	if len(e.Command) == 0 {
		e.Command = []string{"cat", "/tmp/healthy"}
	}
	if e.TimeoutSeconds == 0 {
		e.TimeoutSeconds = 1
	}
	if e.PeriodSeconds == 0 {
		e.PeriodSeconds = 10
	}
	if e.Runner == "" {
		e.Runner = v1alpha1.ExecAuto
	}
	if e.SuccessIsBusy == nil {
		e.SuccessIsBusy = new(true)
	}
	return e
}

// ExecContainer is the container in which a pod's exec probe runs: the one that is named, or the annotated one, or the
// first.
func ExecContainer(e *v1alpha1.ExecProbe, annotations map[string]string, spec *corev1.PodSpec) string {
	if name := ptr.Deref(e.Container, ""); name != "" {
		return name
	}
	if name := annotations[defaultContainer]; name != "" {
		return name
	}
	if len(spec.Containers) == 0 {
		return ""
	}
	return spec.Containers[0].Name
}

// addKubeletProbe makes the busy command the readinessProbe of its container, where the kubelet shall run it.
func addKubeletProbe(h *v1alpha1.HotStandbyJob, template *corev1.PodTemplateSpec) error {
	e := Exec(h)
	if e == nil || e.Runner == v1alpha1.ExecAPIServer {
		return nil
	}
	name := ExecContainer(e, template.Annotations, &template.Spec)
	container := find(&template.Spec, name)
	switch {
	case container == nil:
		return fmt.Errorf("busyProbe.exec.container: jobTemplate has no container %q that keeps running", name)
	case container.ReadinessProbe == nil:
	case e.Runner == v1alpha1.ExecKubelet:
		return fmt.Errorf("busyProbe.exec.runner: Kubelet needs the readinessProbe of container %q, which the template "+
			"sets itself: remove that, or use runner: APIServer", name)
	default:
		return nil
	}
	container.ReadinessProbe = &corev1.Probe{
		ProbeHandler:     corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: e.Command}},
		TimeoutSeconds:   e.TimeoutSeconds,
		PeriodSeconds:    e.PeriodSeconds,
		SuccessThreshold: 1,
		FailureThreshold: failureThreshold(e),
	}
	template.Annotations[v1alpha1.AnnotationKubeletProbe] = name
	return nil
}

// failureThreshold is how many failures in a row count. The kubelet takes a command that doesn't end in time for one that
// failed: where failure means idle, a single one on a busy node must not make a busy pod look idle.
func failureThreshold(e *v1alpha1.ExecProbe) int32 {
	if ptr.Deref(e.SuccessIsBusy, true) {
		return 3
	}
	return 1
}

// find is the container of that name among those that keep running: containers and sidecars.
func find(spec *corev1.PodSpec, name string) *corev1.Container {
	for i := range spec.Containers {
		if spec.Containers[i].Name == name {
			return &spec.Containers[i]
		}
	}
	for i := range spec.InitContainers {
		c := &spec.InitContainers[i]
		if c.Name == name && ptr.Deref(c.RestartPolicy, "") == corev1.ContainerRestartPolicyAlways {
			return c
		}
	}
	return nil
}
