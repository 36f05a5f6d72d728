// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

var metadata = metav1.ObjectMeta{
	Name: "a", Namespace: "games", UID: "u", ResourceVersion: "7",
	Labels:        map[string]string{"hsj.paia.tech/name": "demo"},
	Annotations:   map[string]string{"hsj.paia.tech/unit-size": "3"},
	ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
}

// TestCacheKeeps holds what is left of objects in the cache: what the controllers read, and no more.
func TestCacheKeeps(t *testing.T) {
	slimMetadata := *metadata.DeepCopy()
	slimMetadata.ManagedFields = nil
	node := &corev1.Node{
		ObjectMeta: metadata,
		Spec:       corev1.NodeSpec{Unschedulable: true, PodCIDR: "10.0.0.0/24"},
		Status: corev1.NodeStatus{
			Images: []corev1.ContainerImage{{SizeBytes: 1}},
			Conditions: []corev1.NodeCondition{
				{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse},
				{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.Unix(1, 0)},
			},
		},
	}
	for name, tc := range map[string]struct {
		transform func(any) (any, error)
		in, want  any
	}{
		"a Job without its template, but for its labels": {
			slimJob,
			&batchv1.Job{
				ObjectMeta: metadata,
				Spec: batchv1.JobSpec{
					Completions: new(int32(3)), BackoffLimit: new(int32(0)), Suspend: new(true), PodFailurePolicy: &batchv1.PodFailurePolicy{},
					Template: corev1.PodTemplateSpec{
						ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"}},
						Spec:       corev1.PodSpec{Containers: []corev1.Container{{Image: "busybox"}}},
					},
				},
				Status: batchv1.JobStatus{Active: 3, CompletedIndexes: "0"},
			},
			&batchv1.Job{
				ObjectMeta: slimMetadata,
				Spec: batchv1.JobSpec{
					Completions: new(int32(3)), BackoffLimit: new(int32(0)), Suspend: new(true),
					Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}},
				},
				Status: batchv1.JobStatus{Active: 3, CompletedIndexes: "0"},
			},
		},
		"a pod with its status, its node, and its containers' names": {
			slimPod,
			&corev1.Pod{
				ObjectMeta: metadata,
				Spec: corev1.PodSpec{
					NodeName: "n", Volumes: []corev1.Volume{{Name: "v"}},
					Containers: []corev1.Container{{Name: "first", Image: "busybox"}, {Name: "second"}},
				},
				Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.1"},
			},
			&corev1.Pod{
				ObjectMeta: slimMetadata,
				Spec:       corev1.PodSpec{NodeName: "n", Containers: []corev1.Container{{Name: "first"}, {Name: "second"}}},
				Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.1"},
			},
		},
		"a pod that waits for work without the gateway's certificate": {
			slimPod,
			&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"hsj.paia.tech/payload": "", "hsj.paia.tech/gateway-ca": "PEM"}}},
			&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"hsj.paia.tech/payload": ""}}},
		},
		"a launch's pod with the launch's ID":           {slimPod, payload(`{"id":"b1","command":["a"]}`), payload("b1")},
		"a launch's pod that was seen before":           {slimPod, payload("b1"), payload("b1")},
		"a launch's pod with a payload without ID":      {slimPod, payload(`{"command":["a"]}`), payload("?")},
		"a launch's pod with what isn't a payload":      {slimPod, payload(`{"id`), payload(`{"id`)},
		"a launch's pod with very much of what is none": {slimPod, payload(strings.Repeat("x", 1000)), payload(strings.Repeat("x", 64))},
		"a node with whether it works and takes pods": {
			slimNode, node,
			&corev1.Node{
				ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "u", ResourceVersion: "7"},
				Spec:       corev1.NodeSpec{Unschedulable: true},
				Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
			},
		},
		"what isn't a Job as it is":  {slimJob, "a tombstone", "a tombstone"},
		"what isn't a pod as it is":  {slimPod, "a tombstone", "a tombstone"},
		"what isn't a node as it is": {slimNode, "a tombstone", "a tombstone"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.transform(tc.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func payload(text string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"hsj.paia.tech/payload": text}}}
}

func TestCacheOptions(t *testing.T) {
	o, err := CacheOptions("")
	if err != nil {
		t.Fatal(err)
	}
	if len(o.DefaultNamespaces) != 0 {
		t.Errorf("without a namespace, these are served: %v", o.DefaultNamespaces)
	}
	ours, other := labels.Set{"hsj.paia.tech/name": "demo"}, labels.Set{"app": "game"}
	for kind, by := range o.ByObject {
		switch kind.(type) {
		case *batchv1.Job, *corev1.Pod:
			if !by.Label.Matches(ours) || by.Label.Matches(other) {
				t.Errorf("of %T, %s are kept", kind, by.Label)
			}
		case *corev1.Node:
			if by.Label != nil {
				t.Errorf("nodes are selected by %s, which no node has", by.Label)
			}
		default:
			t.Errorf("%T is cached", kind)
		}
	}
	if o, err = CacheOptions("games"); err != nil {
		t.Fatal(err)
	}
	if _, ok := o.DefaultNamespaces["games"]; !ok || len(o.DefaultNamespaces) != 1 {
		t.Errorf("with a namespace, these are served: %v", o.DefaultNamespaces)
	}
}

// indexer notes what is indexed.
type indexer map[string]client.IndexerFunc

func (i indexer) IndexField(_ context.Context, o client.Object, field string, f client.IndexerFunc) error {
	kind := "pods"
	if _, ok := o.(*batchv1.Job); ok {
		kind = "Jobs"
	}
	i[kind+" by "+field] = f
	return nil
}

func TestIndex(t *testing.T) {
	i := indexer{}
	if err := Index(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	if len(i) != 2 {
		t.Fatalf("indexed: %v", i)
	}
	for name, o := range map[string]client.Object{"Jobs by pool": &batchv1.Job{ObjectMeta: metadata}, "pods by pool": &corev1.Pod{ObjectMeta: metadata}} {
		if i[name] == nil {
			t.Fatalf("%s aren't indexed", name)
		}
		if diff := cmp.Diff([]string{"demo"}, i[name](o)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestIndexLeavesOutWhatLaunchesHaveUsedUp holds that a look at a pool doesn't take longer the more Jobs there are that have ended.
func TestIndexLeavesOutWhatLaunchesHaveUsedUp(t *testing.T) {
	i := indexer{}
	if err := Index(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	launch := func(change func(*corev1.Pod)) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: *metadata.DeepCopy(), Status: corev1.PodStatus{Phase: corev1.PodRunning}}
		p.Labels[v1alpha1.LabelLaunch] = "job"
		change(p)
		return p
	}
	end := func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }
	for name, tc := range map[string]struct {
		pod  *corev1.Pod
		want []string
	}{
		"it works":      {launch(func(*corev1.Pod) {}), []string{"demo"}},
		"it has ended":  {launch(end), nil},
		"it has failed": {launch(func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), nil},
		"it was made for the launch": {launch(func(p *corev1.Pod) {
			p.Annotations[v1alpha1.AnnotationStart] = v1alpha1.StartCold
		}), nil},
		"it was taken for the launch": {launch(func(p *corev1.Pod) {
			p.Annotations[v1alpha1.AnnotationStart] = v1alpha1.StartWarm
		}), []string{"demo"}},
		"it ended while it waited for one": {launch(func(p *corev1.Pod) { end(p); delete(p.Labels, v1alpha1.LabelLaunch) }), []string{"demo"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, i["pods by pool"](tc.pod)); diff != "" {
				t.Errorf("pools (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNodeReady(t *testing.T) {
	for name, tc := range map[string]struct {
		conditions []corev1.NodeCondition
		want       bool
	}{
		"it says so":               {[]corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}, true},
		"it says that it isn't":    {[]corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionFalse}}, false},
		"it has stopped to report": {[]corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown}}, false},
		"it says something else":   {[]corev1.NodeCondition{{Type: corev1.NodeDiskPressure, Status: corev1.ConditionTrue}}, false},
		"it has said nothing yet":  {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := NodeReady(&corev1.Node{Status: corev1.NodeStatus{Conditions: tc.conditions}}); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}
