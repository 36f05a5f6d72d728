// SPDX-License-Identifier: Apache-2.0

// Package webhook hands Jobs that ask for a pool to the launcher when they are created: it sets their spec.managedBy. It
// never refuses a Job. One that it leaves alone, or doesn't get to see, is run by the cluster's own Job controller.
package webhook

import (
	"fmt"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// job is what is looked at of a Job.
type job struct {
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		ManagedBy *string `json:"managedBy"`
	} `json:"spec"`
}

// pool returns the name of the pool that the Job asks for, and whether it is one that a pool can have.
func (j *job) pool() (name string, ok bool) {
	name = j.Labels[v1alpha1.LabelPool]
	return name, len(validation.IsDNS1123Subdomain(name)) == 0
}

// decision is what becomes of a Job.
type decision struct {
	launch   bool     // the launcher runs it
	warnings []string // for whoever creates it
}

// concerned tells whether there is anything to decide.
func (j *job) concerned() bool {
	_, labelled := j.Labels[v1alpha1.LabelPool]
	return labelled && j.Spec.ManagedBy == nil
}

// decide says what becomes of a Job that asks for a pool. Pool is nil if there is none of the name in the namespace.
func decide(j *job, namespace string, pool *v1alpha1.HotStandbyJob) decision {
	name, ok := j.pool()
	switch {
	case !ok:
		return ordinary(fmt.Sprintf("metadata.labels[%s] is %q, which is no name of a HotStandbyJob", v1alpha1.LabelPool, name))
	case pool == nil:
		return ordinary(fmt.Sprintf("pool %s not found in namespace %s", name, namespace))
	case !pool.DeletionTimestamp.IsZero():
		return ordinary(fmt.Sprintf("pool %s in namespace %s is being deleted", name, namespace))
	case pool.Spec.Assignment != v1alpha1.AssignmentPush:
		return ordinary(fmt.Sprintf("pool %s in namespace %s has spec.assignment: Pull, and Jobs need Push", name, namespace))
	}
	return decision{launch: true, warnings: annotationWarnings(j.Annotations)}
}

// ordinary is the decision to leave a Job to the cluster's own controller.
func ordinary(reason string) decision {
	return decision{warnings: []string{reason + ": the Job runs as an ordinary Job"}}
}

// annotationWarnings names what the launcher will ignore.
func annotationWarnings(annotations map[string]string) []string {
	var warnings []string
	if gang, ok := annotations[v1alpha1.AnnotationGang]; ok && gang != "true" && gang != "false" {
		warnings = append(warnings, fmt.Sprintf(`metadata.annotations[%s] is %q and counts as "false": use "true" or "false"`,
			v1alpha1.AnnotationGang, gang))
	}
	if priority, ok := annotations[v1alpha1.AnnotationPriority]; ok {
		if _, err := strconv.ParseInt(priority, 10, 32); err != nil {
			warnings = append(warnings, fmt.Sprintf(`metadata.annotations[%s] is %q and counts as 0: use an integer such as "10"`,
				v1alpha1.AnnotationPriority, priority))
		}
	}
	return warnings
}
