// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestCloseUndoesTheLastFirstAndGoesOnAfterAFailure(t *testing.T) {
	var order []string
	fault := errors.New("it is stuck")
	c := &Cluster{}
	for _, step := range []string{"first", "second", "third"} {
		c.AtClose(func(context.Context) error {
			order = append(order, step)
			if step == "second" {
				return fault
			}
			return nil
		})
	}
	if err := c.Close(t.Context()); !errors.Is(err, fault) {
		t.Errorf("Close: %v", err)
	}
	if want := []string{"third", "second", "first"}; !slices.Equal(order, want) {
		t.Errorf("order is %v, want %v", order, want)
	}
	if err := c.Close(t.Context()); err != nil || len(order) != 3 {
		t.Errorf("the second Close did something: %v, %v", order, err)
	}
}

func TestSetImage(t *testing.T) {
	container := map[string]any{"name": "operator", "image": "old"}
	setImage(map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
		"containers": []any{container},
	}}}}, "new")
	if container["image"] != "new" {
		t.Errorf("image is %v", container["image"])
	}
	setImage(map[string]any{"spec": "something else"}, "new") // changes nothing, and does not panic
}

func TestDiagnoseSaysWhyAPodDoesNotStart(t *testing.T) {
	meta := metav1.ObjectMeta{
		Namespace: operatorNamespace, Name: "operator-1",
		Labels: map[string]string{"app.kubernetes.io/name": operatorName},
	}
	client := fake.NewClientset(
		&corev1.Pod{ObjectMeta: meta, Status: corev1.PodStatus{
			Phase: corev1.PodPending,
			ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{
				Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "no such image"},
			}}},
		}},
		&corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: "e"}, Type: corev1.EventTypeWarning,
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "operator-1"}, Reason: "Failed", Message: "cannot pull\n",
		},
	)
	var out strings.Builder
	(&Cluster{Client: client}).Diagnose(t.Context(), &out)
	for _, want := range []string{
		"pod operator-1: Pending", "ErrImagePull: no such image", "| fake logs", "Warning pod/operator-1 Failed: cannot pull",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

func TestCurrentClusterNeedsImages(t *testing.T) {
	for title, tc := range map[string]struct {
		cluster Cluster
		want    []string
	}{
		"both":                {Cluster{}, []string{"--operator-image", "--worker-image"}},
		"the worker's":        {Cluster{operator: "registry.example/operator:1"}, []string{"--worker-image"}},
		"none":                {Cluster{operator: "registry.example/operator:1", Worker: "registry.example/worker:1"}, nil},
		"none, it runs there": {Cluster{present: true, Worker: "registry.example/worker:1"}, nil},
	} {
		t.Run(title, func(t *testing.T) {
			err := tc.cluster.needImages()
			if (err == nil) != (tc.want == nil) {
				t.Fatalf("error is %v, want one with %q", err, tc.want)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error is %v, want one with %q", err, want)
				}
			}
		})
	}
}
