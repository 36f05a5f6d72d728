// SPDX-License-Identifier: Apache-2.0

package object

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// workerContainer is the container that the shorthand of jobTemplate makes.
const workerContainer = "worker"

// Template is the pods' template as the user gave it, written out: the shorthand is a container, the selector's labels
// are among the others, and a restartPolicy that isn't given is Never. It is the caller's to change.
func Template(h *v1alpha1.HotStandbyJob) *corev1.PodTemplateSpec {
	template := expand(h.Spec.JobTemplate)
	if h.Spec.Selector != nil && len(h.Spec.Selector.MatchLabels) > 0 {
		if template.Labels == nil {
			template.Labels = map[string]string{}
		}
		maps.Copy(template.Labels, h.Spec.Selector.MatchLabels)
	}
	if template.Spec.RestartPolicy == "" {
		template.Spec.RestartPolicy = corev1.RestartPolicyNever
	}
	return template
}

// podTemplate is the template of every pod of a Job of the pool.
func podTemplate(h *v1alpha1.HotStandbyJob, e Entrypoint) (*corev1.PodTemplateSpec, error) {
	template := marked(h)
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	if err := addKubeletProbe(h, template); err != nil {
		return nil, err
	}
	if h.Spec.BusyProbe.Mode == v1alpha1.BusyByReport {
		if err := addReporter(h, template, e); err != nil {
			return nil, err
		}
	}
	return template, nil
}

// marked is the template with the labels and annotations that every pod of the pool begins with.
func marked(h *v1alpha1.HotStandbyJob) *corev1.PodTemplateSpec {
	template := Template(h)
	if template.Labels == nil {
		template.Labels = map[string]string{}
	}
	template.Labels[v1alpha1.LabelName] = h.Name
	template.Labels[v1alpha1.LabelRevision] = Revision(h)
	template.Labels[v1alpha1.LabelState] = string(v1alpha1.PodStarting)

	if template.Annotations == nil {
		template.Annotations = map[string]string{}
	}
	if ManagesEviction(h) {
		template.Annotations[SafeToEvict] = "true"
	}
	return template
}

// expand is the pod template as given, or the one that the shorthand stands for.
func expand(t v1alpha1.JobTemplate) *corev1.PodTemplateSpec {
	if t.Template != nil {
		return t.Template.DeepCopy()
	}
	t = *t.DeepCopy()
	return &corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{
		Name:            workerContainer,
		Image:           t.Image,
		Command:         t.Command,
		Args:            t.Args,
		Env:             t.Env,
		ImagePullPolicy: t.ImagePullPolicy,
		Resources:       ptr.Deref(t.Resources, corev1.ResourceRequirements{}),
	}}}}
}

// ManagesEviction says whether the operator sets the eviction annotations of the pool's pods: not where the template
// sets one itself.
func ManagesEviction(h *v1alpha1.HotStandbyJob) bool {
	if h.Spec.JobTemplate.Template == nil {
		return true
	}
	_, autoscaler := h.Spec.JobTemplate.Template.Annotations[SafeToEvict]
	_, karpenter := h.Spec.JobTemplate.Template.Annotations[DoNotDisrupt]
	return !autoscaler && !karpenter
}
