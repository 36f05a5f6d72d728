// SPDX-License-Identifier: Apache-2.0

package simnode

import (
	"bytes"
	"os"
	"slices"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/yaml"
)

func TestSettingsAreWholeDocuments(t *testing.T) {
	path, err := Config{Dir: t.TempDir()}.writeSettings()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for document := range bytes.SplitSeq(raw, []byte("\n---\n")) {
		var object struct {
			Kind     string
			Metadata struct{ Name string }
			Options  map[string]any
		}
		if err := yaml.UnmarshalStrict(document, &map[string]any{}); err != nil {
			t.Fatalf("%v in:\n%s", err, document)
		}
		if err := yaml.Unmarshal(document, &object); err != nil {
			t.Fatal(err)
		}
		names = append(names, object.Kind+"/"+object.Metadata.Name)
		for _, key := range []string{"nodeLeaseParallelism", "podPlayStageParallelism", "nodePlayStageParallelism"} {
			if n, ok := object.Options[key].(float64); object.Kind == "KwokConfiguration" && (!ok || n <= 0) {
				t.Errorf("%s is %v: kwok would do nothing", key, object.Options[key])
			}
		}
	}
	want := []string{
		"KwokConfiguration/", "Stage/node-initialize", "Stage/node-heartbeat-with-lease",
		"Stage/pod-ready", "Stage/pod-exit", "Stage/pod-terminate", "Stage/pod-delete",
	}
	if !slices.Equal(names, want) {
		t.Errorf("documents are %v, want %v", names, want)
	}
}

func TestNodesKeepOthersAway(t *testing.T) {
	n := node(Name(3))
	if n.Name != "sim-3" || n.Labels[LabelKey] != LabelValue {
		t.Errorf("node %s has labels %v", n.Name, n.Labels)
	}
	want := corev1.Taint{Key: TaintKey, Value: TaintValue, Effect: corev1.TaintEffectNoSchedule}
	if !slices.Contains(n.Spec.Taints, want) {
		t.Errorf("taints are %v, want %v", n.Spec.Taints, want)
	}
}

func TestReleaseNodesLeavesKubeletsAlone(t *testing.T) {
	lease := func(name, holder string) *coordinationv1.Lease {
		return &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: name},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder},
		}
	}
	client := fake.NewClientset(lease("node-0", "node-0"), lease("sim-0", "host_1"), lease("sim-1", "host_1"))
	if err := releaseNodes(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	left, err := client.CoordinationV1().Leases(corev1.NamespaceNodeLease).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(left.Items) != 1 || left.Items[0].Name != "node-0" {
		t.Errorf("leases left: %v (%v), want that of the kubelet", left.Items, err)
	}
}
