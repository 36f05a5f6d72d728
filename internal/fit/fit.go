// SPDX-License-Identifier: Apache-2.0

// Package fit decides whether a Job's pod can run in a pod of a pool that is already running: it names the field that
// stands in the way, or says what the running pod must be told. It is pure: it knows templates, not clusters.
//
// Templates are compared, never the pod in the cluster: admission adds to pods what no template has. Both are defaulted
// first, as the server does it, so that what is written out in one and left out in the other is no difference.
//
// What can be told to a running pod is the command, args, working directory and literal env of one container, and the
// pod's labels and annotations. What a running container has from elsewhere (valueFrom, envFrom) it keeps, where the Job
// asks for the very same.
package fit

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	defaults "k8s.io/kubernetes/pkg/apis/core/v1"

	"github.com/paia-tech/hotstandbyjob/internal/protocol"
)

// Pool is what a pool's pods are made from.
type Pool struct {
	// Template as the user gave it, the shorthand expanded and the selector's labels added. Without the entrypoint.
	Template corev1.PodTemplateSpec
	// Container is the name of the one whose command waits for work.
	Container string
}

// Mismatch is the first difference that a running pod can't take. The values are shortened for people.
type Mismatch struct {
	Field     string // of the Job, such as spec.template.spec.containers[worker].image
	Pool, Job string
}

const (
	specPath = "spec.template.spec"
	notSet   = "not set"

	// indexEnv is what the Job controller adds to every container of an Indexed Job.
	indexEnv = "JOB_COMPLETION_INDEX"
	// placeholderID takes the place of a launch's ID, a UUID, when the payload's size is measured.
	placeholderID = "00000000-0000-0000-0000-000000000000"
)

// Check returns what a pod of the pool must be told to run as the pod that a Job's controller wants to create, or why it
// can't.
func Check(pool Pool, pod *corev1.Pod) (protocol.Payload, *Mismatch) {
	have, want := pool.Template.DeepCopy(), &corev1.PodTemplateSpec{ObjectMeta: pod.ObjectMeta, Spec: *pod.Spec.DeepCopy()}
	if have.Spec.RestartPolicy == "" {
		have.Spec.RestartPolicy = corev1.RestartPolicyNever
	}
	setDefaults(have)
	setDefaults(want)

	h, w := container(&have.Spec, pool.Container), container(&want.Spec, pool.Container)
	if h == nil || w == nil {
		field := specPath + ".containers[" + pool.Container + "]"
		return protocol.Payload{}, &Mismatch{Field: field, Pool: shown(h), Job: shown(w)}
	}
	runs := side{have.Labels, have.Annotations, *h}
	asked := side{want.Labels, want.Annotations, *w}
	if m := compareRest(have, want, pool.Container); m != nil {
		return protocol.Payload{}, m
	}
	payload, m := payloadFor(runs, asked, serviceLinks(&want.Spec))
	if m == nil {
		m = tooLarge(payload)
	}
	if m != nil {
		return protocol.Payload{}, m
	}
	return payload, nil
}

// setDefaults does what the server does with the template of a Job.
func setDefaults(t *corev1.PodTemplateSpec) {
	p := &corev1.PodTemplate{Template: *t}
	defaults.SetObjectDefaults_PodTemplate(p)
	*t = p.Template
}

func container(s *corev1.PodSpec, name string) *corev1.Container {
	for i := range s.Containers {
		if s.Containers[i].Name == name {
			return &s.Containers[i]
		}
	}
	return nil
}

// serviceLinks says whether the container's environment has variables for the namespace's Services.
func serviceLinks(s *corev1.PodSpec) bool {
	return s.EnableServiceLinks == nil || *s.EnableServiceLinks
}

// compareRest compares what a running pod can't be told. It blanks the rest in both.
func compareRest(have, want *corev1.PodTemplateSpec, target string) *Mismatch {
	for _, s := range []*corev1.PodSpec{&have.Spec, &want.Spec} {
		c := container(s, target)
		c.Command, c.Args, c.Env, c.WorkingDir = nil, nil, nil, ""
	}
	if m := deadline(have, want); m != nil {
		return m
	}
	_, indexed := want.Annotations[batchv1.JobCompletionIndexAnnotation]
	if indexed && have.Spec.Subdomain == "" && want.Spec.Subdomain == "" {
		// Set by the Job controller, and without a subdomain nobody finds the pod by it.
		have.Spec.Hostname, want.Spec.Hostname = "", ""
	}
	if indexed {
		dropIndex(have.Spec.InitContainers, want.Spec.InitContainers)
		dropIndex(have.Spec.Containers, want.Spec.Containers)
	}
	if m := difference(specPath, have.Spec, want.Spec); m != nil {
		return m
	}
	return metadataInOthers(have, want)
}

// deadline refuses pods that end some time after their start: a warm pod has started long ago.
func deadline(have, want *corev1.PodTemplateSpec) *Mismatch {
	h, w := have.Spec.ActiveDeadlineSeconds, want.Spec.ActiveDeadlineSeconds
	if h == nil && w == nil {
		return nil
	}
	m := &Mismatch{Field: specPath + ".activeDeadlineSeconds", Pool: shown(h), Job: shown(w)}
	if h != nil && w != nil {
		m.Pool += ", counted from the pod's start"
	}
	return m
}

// dropIndex takes the completion index out of the env of containers that weren't given it by their template but by the
// Job controller, which gives it to all: those beside the target run since before there was a Job. A template that uses
// it there lists it, and then it counts.
func dropIndex(have, want []corev1.Container) {
	for i := range want {
		env := want[i].Env
		if n := len(env); n > 0 && isIndex(env[n-1]) && !lists(have, want[i].Name) {
			want[i].Env = env[:n-1]
		}
	}
}

func isIndex(e corev1.EnvVar) bool {
	if e.Name != indexEnv || e.ValueFrom == nil || e.ValueFrom.FieldRef == nil {
		return false
	}
	_, key, ok := metadataRef(e.ValueFrom.FieldRef.FieldPath)
	return ok && key == batchv1.JobCompletionIndexAnnotation
}

func lists(containers []corev1.Container, name string) bool {
	for _, c := range containers {
		if c.Name != name {
			continue
		}
		for _, e := range c.Env {
			if e.Name == indexEnv {
				return true
			}
		}
	}
	return false
}

// metadataInOthers finds env of the other containers that comes from a label or annotation that the Job changes: they are
// equal as far as written, but not in what they are.
func metadataInOthers(have, want *corev1.PodTemplateSpec) *Mismatch {
	h := side{labels: have.Labels, annotations: have.Annotations}
	w := side{labels: want.Labels, annotations: want.Annotations}
	for i, c := range slices.Concat(want.Spec.InitContainers, want.Spec.Containers) {
		list := ".initContainers["
		if i >= len(want.Spec.InitContainers) {
			list = ".containers["
		}
		for _, e := range c.Env {
			a, known := h.metadata(e.ValueFrom)
			b, _ := w.metadata(e.ValueFrom)
			if known && a != b {
				return &Mismatch{Field: specPath + list + c.Name + "].env[" + e.Name + "]", Pool: short(a), Job: short(b)}
			}
		}
	}
	return nil
}

// metadataRef reads a field path such as metadata.labels['app'].
func metadataRef(path string) (kind, key string, ok bool) {
	kind, rest, ok := strings.Cut(path, "['")
	if !ok || kind != "metadata.labels" && kind != "metadata.annotations" {
		return "", "", false
	}
	key, ok = strings.CutSuffix(rest, "']")
	return kind, key, ok
}

// tooLarge refuses what wouldn't get through to the pod.
func tooLarge(p protocol.Payload) *Mismatch {
	p.ID = placeholderID
	_, err := p.Encode()
	switch {
	case errors.Is(err, protocol.ErrTooLarge):
		return &Mismatch{Field: "payload", Pool: fmt.Sprintf("at most %d bytes", protocol.MaxPayload), Job: "more"}
	case err != nil:
		return &Mismatch{Field: "payload", Pool: "what a process can be given", Job: short(err.Error())}
	}
	return nil
}
