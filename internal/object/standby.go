// SPDX-License-Identifier: Apache-2.0

package object

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

const (
	defaultWarmupSeconds       = 300
	defaultStartTimeoutSeconds = 30
)

// Standby is how the pods of a pool wait for work and get it, with its defaults.
func Standby(h *v1alpha1.HotStandbyJob) v1alpha1.StandbySpec {
	s := v1alpha1.StandbySpec{}
	if h.Spec.Standby != nil {
		s = *h.Spec.Standby.DeepCopy()
	}
	if s.Container == "" {
		s.Container = firstContainer(h)
	}
	if s.Warmup != nil && s.Warmup.TimeoutSeconds == 0 {
		s.Warmup.TimeoutSeconds = defaultWarmupSeconds
	}
	if s.WhenEmpty == "" {
		s.WhenEmpty = v1alpha1.WhenEmptyColdStart
	}
	if s.StartTimeoutSeconds == nil {
		s.StartTimeoutSeconds = new(int32(defaultStartTimeoutSeconds))
	}
	return s
}

func firstContainer(h *v1alpha1.HotStandbyJob) string {
	t := h.Spec.JobTemplate.Template
	switch {
	case t == nil:
		return workerContainer
	case len(t.Spec.Containers) == 0:
		return ""
	default:
		return t.Spec.Containers[0].Name
	}
}

// StandbyContainer names the container of a pool's pods that waits for work.
func StandbyContainer(h *v1alpha1.HotStandbyJob) string { return Standby(h).Container }

// StandbyPod is a pod that waits for work. Its name is not set. The error names the field that makes it impossible.
func StandbyPod(h *v1alpha1.HotStandbyJob, e Entrypoint) (*corev1.Pod, error) {
	template := marked(h)
	standby := Standby(h)
	if err := cannotWait(h, template, standby.Container, e); err != nil {
		return nil, err
	}
	onlyOfLaunches(&template.ObjectMeta)
	template.Annotations[v1alpha1.AnnotationPayload] = ""
	// From the start: whether it is warm is said by its readiness, and a label for that would cost a write for each pod.
	template.Labels[v1alpha1.LabelState] = string(v1alpha1.PodIdle)

	container := containerOf(&template.Spec, standby.Container)
	e.install(template, container)
	var flags []string
	if standby.Warmup != nil {
		addRunDir(&template.Spec, container)
		container.StartupProbe = warmProbe(standby.Warmup)
		flags = warmupFlags(standby.Warmup)
	}
	container.Command, container.Args = e.command(flags...), nil
	return &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       h.Namespace,
			Labels:          template.Labels,
			Annotations:     template.Annotations,
			Finalizers:      template.Finalizers,
			OwnerReferences: []metav1.OwnerReference{Owner(h)},
		},
		Spec: template.Spec,
	}, nil
}

// onlyOfLaunches takes away what a template must not say of a pod that belongs to no launch yet.
func onlyOfLaunches(m *metav1.ObjectMeta) {
	maps.DeleteFunc(m.Labels, func(key, _ string) bool { return key == v1alpha1.LabelLaunch || key == v1alpha1.LabelPool })
	maps.DeleteFunc(m.Annotations, func(key, _ string) bool {
		return key == v1alpha1.AnnotationStart || key == v1alpha1.AnnotationColdReason
	})
}

// addReporter puts the entrypoint in front of a command that runs at once, so that it can report whether it is busy.
func addReporter(h *v1alpha1.HotStandbyJob, template *corev1.PodTemplateSpec, e Entrypoint) error {
	name := StandbyContainer(h)
	if err := cannotReport(h, template, name, e); err != nil {
		return err
	}
	container := containerOf(&template.Spec, name)
	e.install(template, container)
	addRunDir(&template.Spec, container)
	command := e.command("--socket="+entrypointSocket, "--pull", "--")
	container.Command, container.Args = slices.Concat(command, container.Command, container.Args), nil
	return nil
}
