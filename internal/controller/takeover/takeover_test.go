// SPDX-License-Identifier: Apache-2.0

package takeover

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

const finalizer = "kopf.zalando.org/KopfFinalizerMarker"

// server has a pool with these finalizers and annotations, and counts the writes.
func server(t *testing.T, finalizers []string, annotations map[string]string) (client.Client, *v1alpha1.HotStandbyJob, *int) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	writes := 0
	h := &v1alpha1.HotStandbyJob{ObjectMeta: metav1.ObjectMeta{
		Name: "demo", Namespace: "games", Finalizers: finalizers, Annotations: annotations,
	}}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(h).WithInterceptorFuncs(interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, options ...client.PatchOption) error {
			writes++
			return c.Patch(ctx, o, p, options...)
		},
	}).Build()
	return c, get(t, c), &writes
}

func get(t *testing.T, c client.Client) *v1alpha1.HotStandbyJob {
	t.Helper()
	h := &v1alpha1.HotStandbyJob{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "games", Name: "demo"}, h); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestTakeover(t *testing.T) {
	for name, tc := range map[string]struct {
		finalizers, wantFinalizers   []string
		annotations, wantAnnotations map[string]string
		wantWrites                   int
	}{
		"an object that the Python operator never saw is left alone": {
			finalizers: []string{"example.com/mine"}, wantFinalizers: []string{"example.com/mine"},
			annotations: map[string]string{"a": "b"}, wantAnnotations: map[string]string{"a": "b"},
		},
		"defect 27: kopf's finalizer goes, and so do its annotations; nothing else does": {
			finalizers: []string{"example.com/mine", finalizer}, wantFinalizers: []string{"example.com/mine"},
			annotations: map[string]string{
				"a": "b", "kopf.zalando.org/last-handled-configuration": "{}", "kopf.zalando.org/reconcile": "{}", "kopf.zalando.org/touch-dummy": "1",
			},
			wantAnnotations: map[string]string{"a": "b"},
			wantWrites:      1,
		},
		"the finalizer alone":   {finalizers: []string{finalizer}, wantWrites: 1},
		"the annotations alone": {annotations: map[string]string{"kopf.zalando.org/reconcile": "{}"}, wantWrites: 1},
	} {
		t.Run(name, func(t *testing.T) {
			c, h, writes := server(t, tc.finalizers, tc.annotations)
			r := &Reconciler{Client: c}
			for range 2 { // the second time there is nothing left to do
				if _, err := r.Reconcile(t.Context(), h); err != nil {
					t.Fatal(err)
				}
				h = get(t, c)
			}
			if diff := cmp.Diff(tc.wantFinalizers, h.Finalizers); diff != "" {
				t.Errorf("finalizers (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantAnnotations, h.Annotations); diff != "" {
				t.Errorf("annotations (-want +got):\n%s", diff)
			}
			if *writes != tc.wantWrites {
				t.Errorf("%d writes, want %d", *writes, tc.wantWrites)
			}
		})
	}
}

func TestDeletedPoolIsFreed(t *testing.T) {
	c, h, _ := server(t, []string{finalizer}, nil)
	if err := c.Delete(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	h = get(t, c)
	if h.DeletionTimestamp == nil {
		t.Fatal("the finalizer doesn't keep it")
	}
	if _, err := (&Reconciler{Client: c}).Reconcile(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	err := c.Get(t.Context(), client.ObjectKeyFromObject(h), h)
	if !apierrors.IsNotFound(err) {
		t.Errorf("defect 27: it hangs: %v", err)
	}
}

// TestFinalizersOfOthersSurvive holds that a finalizer that was added since the object was read isn't lost.
func TestFinalizersOfOthersSurvive(t *testing.T) {
	c, old, _ := server(t, []string{finalizer}, nil)
	h := old.DeepCopy()
	h.Finalizers = append(h.Finalizers, "example.com/mine")
	if err := c.Update(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	_, err := (&Reconciler{Client: c}).Reconcile(t.Context(), old)
	if !apierrors.IsConflict(err) {
		t.Errorf("the error is %v", err)
	}
	if diff := cmp.Diff([]string{finalizer, "example.com/mine"}, get(t, c).Finalizers); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPoolThatIsGoneIsNoError(t *testing.T) {
	c, h, _ := server(t, nil, nil)
	if err := c.Delete(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	h.Finalizers = []string{finalizer}
	if _, err := (&Reconciler{Client: c}).Reconcile(t.Context(), h); err != nil {
		t.Error(err)
	}
}
