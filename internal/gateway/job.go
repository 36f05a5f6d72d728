// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/client/launcherv1"
)

const (
	// annotationRequest is a hash of the request key and whose it is. On Jobs of launches that have a key.
	annotationRequest = "hsj.paia.tech/request"
	// annotationRequestedBy is the user for whom the gateway made the Job.
	annotationRequestedBy = "hsj.paia.tech/requested-by"

	prefix = "hsj.paia.tech/"

	defaultTTL    = 600
	maxPods       = 10_000
	maxRequestKey = 256
	// nameLength is how long a Job's name may be, since it is the value of a label on its pods.
	nameLength = validation.DNS1123LabelMaxLength
	// hashLength is how many characters of a Job's name tell request keys apart.
	hashLength = 10
	// randomLength is how many characters the API server adds to a generated name.
	randomLength = 5
)

// check names the fields of a request that can't be as they are. What it lets through, the API server may still refuse.
func check(r *launcherv1.LaunchRequest) error {
	var faults []error
	fault := func(bad bool, field, why string) {
		if bad {
			faults = append(faults, fmt.Errorf("%s: %s", field, why))
		}
	}
	fault(len(validation.IsDNS1123Label(r.GetNamespace())) > 0, "namespace", "must be the name of a namespace")
	fault(len(validation.IsDNS1123Subdomain(r.GetPool())) > 0, "pool", "must be the name of a HotStandbyJob")
	fault(len(r.GetRequestKey()) > maxRequestKey, "request_key", fmt.Sprintf("must not have more than %d bytes", maxRequestKey))
	fault(r.GetPods() < 0 || r.GetPods() > maxPods, "pods", fmt.Sprintf("must be from 0 to %d", maxPods))
	fault(r.GetBackoffLimit() < 0, "backoff_limit", "must not be negative")
	fault(r.GetTtlSecondsAfterFinished() < 0, "ttl_seconds_after_finished", "must not be negative")
	fault(r.GetActiveDeadlineSeconds() < 0, "active_deadline_seconds", "must not be negative")
	fault(slices.Contains(r.GetCommand()[:min(1, len(r.GetCommand()))], ""), "command", "must not begin with an empty string")
	for _, name := range slices.Sorted(maps.Keys(r.GetEnv())) {
		fault(len(validation.IsRelaxedEnvVarName(name)) > 0, "env", fmt.Sprintf("%q isn't the name of a variable", name))
	}
	for _, m := range []struct {
		field   string
		entries map[string]string
	}{{"labels", r.GetLabels()}, {"annotations", r.GetAnnotations()}} {
		for _, k := range slices.Sorted(maps.Keys(m.entries)) {
			fault(strings.HasPrefix(k, prefix), m.field, fmt.Sprintf("%s is set by the gateway: the request has fields for it", k))
		}
	}
	return errors.Join(faults...)
}

// jobFor is the Job of a launch.
func jobFor(r *launcherv1.LaunchRequest, user string, template *corev1.PodTemplateSpec, container string) (*batchv1.Job, error) {
	if err := override(r, template, container); err != nil {
		return nil, err
	}
	pods := max(r.GetPods(), 1)
	j := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.GetNamespace(), Labels: maps.Clone(r.GetLabels()), Annotations: maps.Clone(r.GetAnnotations()),
		},
		Spec: batchv1.JobSpec{
			Parallelism: &pods, Completions: &pods, BackoffLimit: new(r.GetBackoffLimit()),
			TTLSecondsAfterFinished: new(int32(defaultTTL)),
			ManagedBy:               new(v1alpha1.ManagedByLauncher),
			Template:                *template,
		},
	}
	metav1.SetMetaDataLabel(&j.ObjectMeta, v1alpha1.LabelPool, r.GetPool())
	metav1.SetMetaDataAnnotation(&j.ObjectMeta, annotationRequestedBy, user)
	if r.GetGang() {
		metav1.SetMetaDataAnnotation(&j.ObjectMeta, v1alpha1.AnnotationGang, "true")
	}
	if r.GetPriority() != 0 {
		metav1.SetMetaDataAnnotation(&j.ObjectMeta, v1alpha1.AnnotationPriority, strconv.Itoa(int(r.GetPriority())))
	}
	if r.TtlSecondsAfterFinished != nil {
		j.Spec.TTLSecondsAfterFinished = r.TtlSecondsAfterFinished
	}
	if s := r.GetActiveDeadlineSeconds(); s > 0 {
		j.Spec.ActiveDeadlineSeconds = &s
	}
	if r.GetRequestKey() == "" {
		j.GenerateName = cut(r.GetPool(), nameLength-randomLength-1) + "-"
		return j, nil
	}
	hash := requestHash(r, user)
	j.Name = cut(r.GetPool(), nameLength-hashLength-1) + "-" + hash[:hashLength]
	metav1.SetMetaDataAnnotation(&j.ObjectMeta, annotationRequest, hash)
	return j, nil
}

// requestHash stands for a request key of a user.
func requestHash(r *launcherv1.LaunchRequest, user string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{r.GetNamespace(), r.GetPool(), user, r.GetRequestKey()}, "\x00")))
	return hex.EncodeToString(sum[:])
}

// cut shortens the name of a pool to what has room in the name of a Job.
func cut(name string, most int) string {
	return strings.TrimRight(name[:min(len(name), most)], "-.")
}

// override lays what the request says over the container that waits for work.
func override(r *launcherv1.LaunchRequest, template *corev1.PodTemplateSpec, container string) error {
	i := slices.IndexFunc(template.Spec.Containers, func(c corev1.Container) bool { return c.Name == container })
	if i < 0 {
		return fmt.Errorf("the pool's template has no container %q", container)
	}
	c := &template.Spec.Containers[i]
	if len(r.GetCommand()) > 0 {
		c.Command, c.Args = r.GetCommand(), nil
	}
	if len(r.GetArgs()) > 0 {
		c.Args = r.GetArgs()
	}
	if r.GetWorkingDir() != "" {
		c.WorkingDir = r.GetWorkingDir()
	}
	for _, name := range slices.Sorted(maps.Keys(r.GetEnv())) {
		set(c, corev1.EnvVar{Name: name, Value: r.GetEnv()[name]})
	}
	if template.Spec.RestartPolicy == "" {
		template.Spec.RestartPolicy = corev1.RestartPolicyNever
	}
	return nil
}

// set gives a variable a value: in its place if the container has it, so that those after it can refer to it.
func set(c *corev1.Container, v corev1.EnvVar) {
	if i := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == v.Name }); i >= 0 {
		c.Env[i] = v
		return
	}
	c.Env = append(c.Env, v)
}
