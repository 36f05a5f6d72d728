// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// server has one pool, and counts the writes of its status.
func server(t *testing.T) (client.Client, *v1alpha1.HotStandbyJob, *int) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	writes := 0
	h := &v1alpha1.HotStandbyJob{
		ObjectMeta: metav1.ObjectMeta{Name: "demo", Namespace: "games"},
		Status: v1alpha1.HotStandbyJobStatus{
			IdleCount:  3,
			Conditions: []metav1.Condition{{Type: "Ready", Status: "True"}, {Type: "Degraded", Status: "False"}},
		},
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(h).WithStatusSubresource(h).WithInterceptorFuncs(interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, name string, o client.Object, p client.Patch, options ...client.SubResourcePatchOption) error {
			writes++
			return c.SubResource(name).Patch(ctx, o, p, options...)
		},
	}).Build()
	seen := &v1alpha1.HotStandbyJob{}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(h), seen); err != nil {
		t.Fatal(err)
	}
	return c, seen, &writes
}

// TestPatchStatus guards against defect 1 (the status is stored) and 26 (it isn't when nothing has changed).
func TestPatchStatus(t *testing.T) {
	c, h, writes := server(t)
	before := h.DeepCopy()
	wrote, err := PatchStatus(t.Context(), c, h, func(s *v1alpha1.HotStandbyJobStatus) { s.IdleCount = 3 })
	if wrote || err != nil || *writes != 0 {
		t.Errorf("nothing has changed: wrote %v, %d times, error %v", wrote, *writes, err)
	}
	wrote, err = PatchStatus(t.Context(), c, h, func(s *v1alpha1.HotStandbyJobStatus) {
		s.IdleCount, s.BusyCount = 0, 2
		s.Conditions[0].Status = "False"
	})
	if !wrote || err != nil || *writes != 1 {
		t.Errorf("something has changed: wrote %v, %d times, error %v", wrote, *writes, err)
	}
	if diff := cmp.Diff(before, h); diff != "" {
		t.Errorf("the object that was given has changed (-before +after):\n%s", diff)
	}
	stored := &v1alpha1.HotStandbyJob{}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(h), stored); err != nil {
		t.Fatal(err)
	}
	want := v1alpha1.HotStandbyJobStatus{
		BusyCount:  2,
		Conditions: []metav1.Condition{{Type: "Ready", Status: "False"}, {Type: "Degraded", Status: "False"}},
	}
	if diff := cmp.Diff(want, stored.Status); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

func TestPatchStatusOfAnOldObjectIsAConflict(t *testing.T) {
	c, h, _ := server(t)
	if _, err := PatchStatus(t.Context(), c, h, func(s *v1alpha1.HotStandbyJobStatus) { s.IdleCount = 4 }); err != nil {
		t.Fatal(err)
	}
	_, err := PatchStatus(t.Context(), c, h, func(s *v1alpha1.HotStandbyJobStatus) { s.IdleCount = 5 })
	if !apierrors.IsConflict(err) {
		t.Errorf("the error is %v: a newer status may have been overwritten", err)
	}
}
