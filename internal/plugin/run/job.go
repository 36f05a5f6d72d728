// SPDX-License-Identifier: Apache-2.0

// Package run launches a command in a pool's pods and follows it to its end.
package run

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/object"
)

// maxPrefix leaves room for a hyphen and the random end of a Job's name.
const maxPrefix = validation.DNS1123LabelMaxLength - 6

// Options are what the user asks for.
type Options struct {
	Pool    string
	Args    []string
	Command bool // Args replace the command, too
	Env     []string
	Image   string

	Name     string
	Gang     int32
	Priority int32
	Direct   bool // hand the Job to the launcher, without its webhook
	TTL      time.Duration

	Timings bool
	Wait    bool
	Remove  bool
	Timeout time.Duration
}

// Job is a Job that runs in the pool's pods: its template is the pool's but for what a running pod can be told.
func Job(h *v1alpha1.HotStandbyJob, name string, o Options) (*batchv1.Job, error) {
	if h.Spec.Assignment != v1alpha1.AssignmentPush {
		return nil, fmt.Errorf("pool %s hands out no work: its pods fetch it themselves (assignment: Pull); make one with assignment: Push", h.Name)
	}
	template := object.Template(h)
	if err := o.change(template, object.StandbyContainer(h)); err != nil {
		return nil, err
	}
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: h.Namespace,
			Labels: map[string]string{v1alpha1.LabelPool: h.Name}, Annotations: map[string]string{},
		},
		Spec: batchv1.JobSpec{
			BackoffLimit: new(int32(0)), // whoever started it sees its exit code, and decides
			Template:     *template,
		},
	}
	if o.TTL > 0 {
		job.Spec.TTLSecondsAfterFinished = new(int32(o.TTL.Seconds()))
	}
	if o.Gang > 1 {
		job.Annotations[v1alpha1.AnnotationGang] = "true"
		job.Spec.Parallelism, job.Spec.Completions = new(o.Gang), new(o.Gang)
	}
	if o.Priority != 0 {
		job.Annotations[v1alpha1.AnnotationPriority] = strconv.Itoa(int(o.Priority))
	}
	if o.Direct {
		job.Spec.ManagedBy = new(v1alpha1.ManagedByLauncher)
	}
	return job, nil
}

// change puts command, env and image into a container of the template.
func (o Options) change(template *corev1.PodTemplateSpec, name string) error {
	i := slices.IndexFunc(template.Spec.Containers, func(c corev1.Container) bool { return c.Name == name })
	if i < 0 {
		return fmt.Errorf("the pool's template has no container %q: see spec.standby.container", name)
	}
	c := &template.Spec.Containers[i]
	switch {
	case o.Command && len(o.Args) == 0:
		return errors.New("--command needs a command after --")
	case o.Command:
		c.Command, c.Args = o.Args, nil
	case len(o.Args) > 0:
		c.Args = o.Args
	}
	if o.Image != "" {
		c.Image = o.Image
	}
	for _, entry := range o.Env {
		name, value, ok := strings.Cut(entry, "=")
		if !ok || name == "" {
			return fmt.Errorf("--env %q: want NAME=VALUE", entry)
		}
		c.Env = slices.DeleteFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == name })
		c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: value})
	}
	return nil
}

// Validate says what is wrong with the options.
func (o Options) Validate() error {
	switch {
	case o.Gang < 1:
		return errors.New("--gang must be at least 1")
	case o.TTL < 0 || o.Timeout < 0:
		return errors.New("--ttl and --timeout can't be negative")
	case o.Remove && !o.Wait:
		return errors.New("--rm goes with --wait: without it nobody is there when the Job has ended; use --ttl")
	}
	return nil
}

// name is that of the Job, with a random end where the user gave none.
func (o Options) name(random string) string {
	if o.Name != "" {
		return o.Name
	}
	prefix := strings.ReplaceAll(o.Pool, ".", "-")
	return strings.TrimRight(prefix[:min(len(prefix), maxPrefix)], "-") + "-" + random
}
