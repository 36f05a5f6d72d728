// SPDX-License-Identifier: Apache-2.0

package object

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// cannotWait says why a pod of the template can't wait for work in a container: it names the field.
func cannotWait(h *v1alpha1.HotStandbyJob, template *corev1.PodTemplateSpec, name string, e Entrypoint) error {
	container := containerOf(&template.Spec, name)
	if container == nil {
		return fmt.Errorf("standby.container: jobTemplate has no container %q", name)
	}
	at := field{h, name}
	if policy := template.Spec.RestartPolicy; policy != corev1.RestartPolicyNever && policy != corev1.RestartPolicyOnFailure {
		return fmt.Errorf("%s: it is %s, and must be Never or OnFailure, as for any Job", at.pod("restartPolicy"), policy)
	}
	if template.Spec.ActiveDeadlineSeconds != nil {
		return fmt.Errorf("%s: it is counted from the pod's start and would end pods that wait for work; "+
			"set activeDeadlineSeconds on the Jobs that are started in them, which is counted from their start", at.pod("activeDeadlineSeconds"))
	}
	if asked := whatAsks(container); asked != "" {
		return fmt.Errorf("%s: it can't be had in the container that waits for work: nothing could answer until a Job "+
			"is started in it", at.container(asked))
	}
	return cannotEnter(at, template, container, e)
}

// cannotReport says why a container of the template can't have the entrypoint for reports: it names the field.
func cannotReport(h *v1alpha1.HotStandbyJob, template *corev1.PodTemplateSpec, name string, e Entrypoint) error {
	container := containerOf(&template.Spec, name)
	if container == nil {
		return errors.New("jobTemplate.template.spec.containers: there is none")
	}
	if e.GatewayURL == "" {
		return errors.New("busyProbe.mode: report needs the operator's gateway, and this operator was started without one")
	}
	return cannotEnter(field{h, name}, template, container, e)
}

// cannotEnter says why the entrypoint can't be put in front of a container's command.
func cannotEnter(at field, template *corev1.PodTemplateSpec, container *corev1.Container, e Entrypoint) error {
	spec := &template.Spec
	if e.Image == "" {
		return errors.New("this operator was started without --standby-image: it has no program to put into the pods")
	}
	if len(container.Command) == 0 {
		return fmt.Errorf("%s: it must be given, since the operator puts a program in front of it, and what the image "+
			"runs by itself (its ENTRYPOINT) can't be known", at.container("command"))
	}
	if spec.OS != nil && spec.OS.Name != corev1.Linux {
		return fmt.Errorf("%s: it is %s, and must be linux", at.pod("os"), spec.OS.Name)
	}
	return cannotMount(at, spec, container)
}

// cannotMount says which name or path of the template's own is one of those that the entrypoint needs.
func cannotMount(at field, spec *corev1.PodSpec, container *corev1.Container) error {
	for _, v := range spec.Volumes {
		if v.Name == binVolume || v.Name == launchVolume || v.Name == runVolume {
			return fmt.Errorf("%s: a volume can't be named %s: the operator adds one of that name", at.pod("volumes"), v.Name)
		}
	}
	if slices.ContainsFunc(slices.Concat(spec.InitContainers, spec.Containers), func(c corev1.Container) bool { return c.Name == installContainer }) {
		return fmt.Errorf("%s: a container can't be named %s: the operator adds one of that name", at.pod("containers"), installContainer)
	}
	for _, m := range container.VolumeMounts {
		if m.MountPath == entrypointDir || strings.HasPrefix(m.MountPath, entrypointDir+"/") {
			return fmt.Errorf("%s: nothing can be mounted at %s: the operator's own is below %s", at.container("volumeMounts"), m.MountPath, entrypointDir)
		}
	}
	return nil
}

// whatAsks is the field by which a container is asked something while it runs; empty if it isn't.
func whatAsks(c *corev1.Container) string {
	switch {
	case c.LivenessProbe != nil:
		return "livenessProbe"
	case c.ReadinessProbe != nil:
		return "readinessProbe"
	case c.StartupProbe != nil:
		return "startupProbe"
	case c.Lifecycle != nil && (c.Lifecycle.PostStart != nil || c.Lifecycle.PreStop != nil):
		return "lifecycle"
	default:
		return ""
	}
}

// field is how a pool's author calls the fields of its pods' template.
type field struct {
	pool *v1alpha1.HotStandbyJob
	name string // of the container
}

// pod is a field of the pods.
func (f field) pod(name string) string { return "jobTemplate.template.spec." + name }

// container is a field of the container.
func (f field) container(name string) string {
	if f.pool.Spec.JobTemplate.Template == nil {
		return "jobTemplate." + name
	}
	return f.pod("containers[" + f.name + "]." + name)
}

// containerOf is the container of that name; nil if there is none. Those that run beside or before it don't count.
func containerOf(spec *corev1.PodSpec, name string) *corev1.Container {
	i := slices.IndexFunc(spec.Containers, func(c corev1.Container) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &spec.Containers[i]
}
