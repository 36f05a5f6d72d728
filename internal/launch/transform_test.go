// SPDX-License-Identifier: Apache-2.0

package launch

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// An informer transforms the objects of its first list twice.
func TestATransformedJobStaysWhatItIs(t *testing.T) {
	for name, tc := range map[string]struct {
		managedBy       *string
		fields          []metav1.ManagedFieldsEntry
		ours, unmanaged bool
	}{
		"the launcher's":                         {new(v1alpha1.ManagedByLauncher), []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}, true, false},
		"the launcher's, without managed fields": {new(v1alpha1.ManagedByLauncher), nil, true, false},
		"Kubernetes' own":                        {nil, []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}, false, true},
		"Kubernetes' own, without any":           {nil, nil, false, true},
		"somebody else's":                        {new("example.com/other"), nil, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			var o any = &batchv1.Job{ObjectMeta: metav1.ObjectMeta{ManagedFields: tc.fields}, Spec: batchv1.JobSpec{ManagedBy: tc.managedBy}}
			for pass := range 3 {
				var err error
				if o, err = transformJob(o); err != nil {
					t.Fatal(err)
				}
				if got := o.(*batchv1.Job).Spec.ManagedBy == nil; got != tc.ours {
					t.Errorf("after pass %d the embedded controller runs it: %v, want %v", pass+1, got, tc.ours)
				}
				if got := Unmanaged(o.(*batchv1.Job)); got != tc.unmanaged {
					t.Errorf("after pass %d it is nobody's: %v, want %v", pass+1, got, tc.unmanaged)
				}
				o = o.(*batchv1.Job).DeepCopy()
			}
		})
	}
}
