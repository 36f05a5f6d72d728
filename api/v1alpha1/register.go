// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Kind is that of HotStandbyJob.
const Kind = "HotStandbyJob"

// GroupName is the API group of HotStandbyJob.
const GroupName = "apps.paia.tech"

// SchemeGroupVersion is the group and version of the types in this package.
var SchemeGroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}

// AddToScheme adds the types in this package to a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(SchemeGroupVersion, &HotStandbyJob{}, &HotStandbyJobList{})
	metav1.AddToGroupVersion(s, SchemeGroupVersion)
	return nil
}
