// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"errors"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/kubernetes"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// The versions of Kubernetes from which on Jobs can have a spec.managedBy, and have it by default.
const (
	managedBySince     = "1.30"
	managedByByDefault = "1.32"
)

// SupportsManagedBy tells whether the cluster keeps the spec.managedBy of Jobs. It asks for a Job without making it, in
// a namespace that exists; where that can't be asked, the server's version decides if it can.
func SupportsManagedBy(ctx context.Context, c kubernetes.Interface, namespace string) (bool, error) {
	made, err := c.BatchV1().Jobs(namespace).Create(ctx, trial(), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err == nil {
		return made.Spec.ManagedBy != nil && *made.Spec.ManagedBy == v1alpha1.ManagedByLauncher, nil
	}
	asked := fmt.Errorf("dry run of a Job in namespace %s: %w", namespace, err)
	info, err := c.Discovery().ServerVersion()
	if err != nil {
		return false, errors.Join(asked, fmt.Errorf("read the server's version: %w", err))
	}
	v, err := version.ParseGeneric(info.GitVersion)
	if err != nil {
		return false, errors.Join(asked, fmt.Errorf("read the server's version: %w", err))
	}
	switch {
	case v.AtLeast(version.MustParseGeneric(managedByByDefault)):
		return true, nil
	case v.LessThan(version.MustParseGeneric(managedBySince)):
		return false, nil
	}
	return false, fmt.Errorf("in Kubernetes %s it can be on or off: %w", info.GitVersion, asked)
}

// trial is a Job that is only ever asked for.
func trial() *batchv1.Job {
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "hotstandbyjob-trial-"},
		Spec: batchv1.JobSpec{
			ManagedBy: new(v1alpha1.ManagedByLauncher),
			Suspend:   new(true),
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever,
				Containers:    []corev1.Container{{Name: "none", Image: "none"}},
			}},
		},
	}
}
