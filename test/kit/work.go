// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"context"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/test/drive"
)

// Claim marks a pod busy as a dispatcher should: if, and only if, it is still labelled idle. It says whether it was.
func (e *Env) Claim(p *corev1.Pod) bool {
	e.T.Helper()
	annotations := map[string]string{v1alpha1.AnnotationBusy: "true"}
	for key, value := range p.Annotations {
		if key != v1alpha1.AnnotationBusy {
			annotations[key] = value
		}
	}
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/labels/hsj.paia.tech~1state", "value": v1alpha1.PodIdle},
		{"op": "add", "path": "/metadata/annotations", "value": annotations},
	})
	if err != nil {
		e.T.Fatal(err)
	}
	err = e.Client.Patch(e.T.Context(), p.DeepCopy(), client.RawPatch(types.JSONPatchType, patch))
	switch {
	case err == nil:
		return true
	case apierrors.IsInvalid(err), apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return false
	default:
		e.T.Fatalf("claim pod %s: %v", p.Name, err)
		return false
	}
}

// Finish ends a pod on a simulated node with an exit code.
func (e *Env) Finish(p *corev1.Pod, code int32) {
	e.T.Helper()
	if err := drive.Finish(e.T.Context(), e.Client, p, code); err != nil {
		e.T.Fatal(err)
	}
}

// Delete deletes an object of the namespace.
func (e *Env) Delete(o client.Object, name string) {
	e.T.Helper()
	o.SetNamespace(e.Namespace)
	o.SetName(name)
	if err := e.Client.Delete(e.T.Context(), o); err != nil {
		e.T.Fatalf("delete %T %s: %v", o, name, err)
	}
}

// CreateClusterWide makes an object that is in no namespace, and deletes it when the test ends.
func (e *Env) CreateClusterWide(o client.Object) {
	e.T.Helper()
	if err := e.Client.Create(e.T.Context(), o); err != nil {
		e.T.Fatalf("create %T %s: %v", o, o.GetName(), err)
	}
	e.T.Cleanup(func() {
		if err := e.Client.Delete(context.WithoutCancel(e.T.Context()), o); err != nil {
			e.T.Errorf("delete %T %s: %v", o, o.GetName(), err)
		}
	})
}
