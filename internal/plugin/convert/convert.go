// SPDX-License-Identifier: Apache-2.0

// Package convert makes a pool from a Job or CronJob that the user runs.
package convert

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// maxName leaves room for what the operator appends to a pool's name.
const maxName = validation.DNS1123LabelMaxLength - 8

// Options are what the user asks for.
type Options struct {
	Name     string
	Idle     int32
	Max      int32 // 0 is none
	Template corev1.PodTemplateSpec
	Apply    bool
}

// Pool is a pool whose pods the template's Jobs fit into, and what isn't taken over, each with the reason.
func Pool(o Options) (*v1alpha1.HotStandbyJob, []string, error) {
	if len(o.Name) > maxName {
		return nil, nil, fmt.Errorf("the name %s has more than %d characters: give a shorter --name", o.Name, maxName)
	}
	if o.Idle < 0 || o.Max < 0 {
		return nil, nil, errors.New("--idle and --max can't be negative")
	}
	template := o.Template.DeepCopy()
	notes := strip(template)
	more, err := check(template)
	if err != nil {
		return nil, nil, err
	}
	h := &v1alpha1.HotStandbyJob{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: v1alpha1.Kind},
		ObjectMeta: metav1.ObjectMeta{Name: o.Name},
		Spec: v1alpha1.HotStandbyJobSpec{
			Assignment:  v1alpha1.AssignmentPush,
			IdleTarget:  o.Idle,
			JobTemplate: v1alpha1.JobTemplate{Template: template},
		},
	}
	if o.Max > 0 {
		h.Spec.MaxReplicas = &o.Max
	}
	return h, append(notes, more...), nil
}

// strip takes away what the server or a controller put into a template, and what no standby pod may have.
func strip(t *corev1.PodTemplateSpec) (notes []string) {
	t.Name, t.GenerateName, t.Namespace, t.UID, t.ResourceVersion = "", "", "", "", ""
	t.CreationTimestamp, t.ManagedFields, t.OwnerReferences = metav1.Time{}, nil, nil
	maps.DeleteFunc(t.Labels, func(key, _ string) bool { return isTracking(key) || key == v1alpha1.LabelPool })
	t.Spec.NodeName = ""
	undefault(&t.Spec)
	if t.Spec.ActiveDeadlineSeconds != nil {
		t.Spec.ActiveDeadlineSeconds = nil
		notes = append(notes, "activeDeadlineSeconds of the pod counts from the pod's start, and a warm pod has started long ago: "+
			"it is left out, and Jobs that have it start cold; set spec.activeDeadlineSeconds of the Job instead")
	}
	return notes
}

// isTracking says whether a label is put on by Kubernetes' Job controller.
func isTracking(key string) bool {
	return slices.Contains([]string{
		batchv1.ControllerUidLabel, batchv1.JobNameLabel, "controller-uid", "job-name", batchv1.JobCompletionIndexAnnotation,
	}, key)
}

// undefault takes away what the server fills in, which nobody wants to read. It fills it in again.
func undefault(s *corev1.PodSpec) {
	if s.DNSPolicy == corev1.DNSClusterFirst {
		s.DNSPolicy = ""
	}
	if s.SchedulerName == corev1.DefaultSchedulerName {
		s.SchedulerName = ""
	}
	if s.SecurityContext != nil && equality.Semantic.DeepEqual(s.SecurityContext, &corev1.PodSecurityContext{}) {
		s.SecurityContext = nil
	}
	if s.TerminationGracePeriodSeconds != nil && *s.TerminationGracePeriodSeconds == corev1.DefaultTerminationGracePeriodSeconds {
		s.TerminationGracePeriodSeconds = nil
	}
	s.DeprecatedServiceAccount = ""
	for _, list := range [][]corev1.Container{s.InitContainers, s.Containers} {
		for i := range list {
			if list[i].TerminationMessagePath == corev1.TerminationMessagePathDefault {
				list[i].TerminationMessagePath = ""
			}
			if list[i].TerminationMessagePolicy == corev1.TerminationMessageReadFile {
				list[i].TerminationMessagePolicy = ""
			}
		}
	}
}

// check refuses what can't wait for work, and says what will be different.
func check(t *corev1.PodTemplateSpec) (notes []string, err error) {
	if len(t.Spec.Containers) == 0 {
		return nil, errors.New("its template has no containers")
	}
	c := &t.Spec.Containers[0]
	if len(c.Command) == 0 {
		return nil, fmt.Errorf("container %s has no command in the template, and what its image runs by itself can't be known: "+
			"write its ENTRYPOINT into command, in the Job and here", c.Name)
	}
	if c.LivenessProbe != nil || c.ReadinessProbe != nil || c.StartupProbe != nil || c.Lifecycle != nil {
		return nil, fmt.Errorf("container %s has probes or lifecycle hooks, and while it waits for work nothing could answer them: "+
			"remove them, in the Job and here", c.Name)
	}
	if len(t.Spec.Containers) > 1 {
		var others []string
		for _, other := range t.Spec.Containers[1:] {
			others = append(others, other.Name)
		}
		notes = append(notes, fmt.Sprintf("container %s waits for work; %s run from the start of a standby pod: "+
			"set spec.standby.container if it is another that shall wait", c.Name, strings.Join(others, ", ")))
	}
	if t.Spec.RestartPolicy == corev1.RestartPolicyAlways {
		return nil, errors.New("restartPolicy Always isn't a Job's")
	}
	return notes, nil
}

// unset says what of a Job stays with the Job and isn't the pool's.
func unset(s *batchv1.JobSpec) string {
	var names []string
	for name, set := range map[string]bool{
		"parallelism": s.Parallelism != nil && *s.Parallelism != 1, "completions": s.Completions != nil && *s.Completions != 1,
		"completionMode": s.CompletionMode != nil && *s.CompletionMode == batchv1.IndexedCompletion,
		"backoffLimit":   s.BackoffLimit != nil && *s.BackoffLimit != 6, "activeDeadlineSeconds": s.ActiveDeadlineSeconds != nil,
		"ttlSecondsAfterFinished": s.TTLSecondsAfterFinished != nil, "podFailurePolicy": s.PodFailurePolicy != nil,
		"successPolicy": s.SuccessPolicy != nil, "suspend": s.Suspend != nil && *s.Suspend,
	} {
		if set {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return "this stays in your Job, holds for each launch, and isn't the pool's: " + strings.Join(names, ", ")
}
