// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 is the API of HotStandbyJob, group apps.paia.tech: pools of warm pods for Kubernetes Jobs.
//
// +kubebuilder:object:generate=true
// +groupName=apps.paia.tech
package v1alpha1
