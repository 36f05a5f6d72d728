// SPDX-License-Identifier: Apache-2.0

package object

import (
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// FencePatch is the JSON patch that labels a pod as retiring if it is still at a version: whatever changed since, such
// as its busy annotation, makes the server refuse it.
func FencePatch(resourceVersion string) []byte {
	return encode([]map[string]any{
		{"op": "test", "path": "/metadata/resourceVersion", "value": resourceVersion},
		{"op": "add", "path": "/metadata/labels/hsj.paia.tech~1state", "value": v1alpha1.PodRetiring},
	})
}

// LabelPatch is the JSON patch that labels a standby pod with a state if its state is still the one that was seen: a pod
// that was claimed since has another. What else changes in it, such as its status, is no reason to refuse it.
func LabelPatch(p *corev1.Pod, state v1alpha1.PodState) []byte {
	test := map[string]any{"op": "test", "path": "/metadata/labels/hsj.paia.tech~1state", "value": p.Labels[v1alpha1.LabelState]}
	if _, ok := p.Labels[v1alpha1.LabelState]; !ok { // somebody took it away: there is nothing that could be tested
		test = map[string]any{"op": "test", "path": "/metadata/resourceVersion", "value": p.ResourceVersion}
	}
	return encode([]map[string]any{
		test,
		{"op": "test", "path": "/metadata/uid", "value": p.UID},
		{"op": "add", "path": "/metadata/labels/hsj.paia.tech~1state", "value": state},
	})
}

// RetiredPatch is the strategic merge patch of a pod's status that says that the pod is retired.
func RetiredPatch(resourceVersion string, now time.Time) []byte {
	return encode(map[string]any{
		"metadata": map[string]any{"resourceVersion": resourceVersion},
		"status": map[string]any{"conditions": []corev1.PodCondition{{
			Type: PodRetired, Status: corev1.ConditionTrue, Reason: ReasonRetired, Message: "an idle pod too many",
			LastTransitionTime: metav1.NewTime(now),
		}}},
	})
}

// StatePatch is the merge patch that labels a pod with its state and, where the pool manages that, says whether it may
// be moved to another node. The UID keeps it from a pod that was made anew under the same name.
func StatePatch(uid types.UID, state v1alpha1.PodState, movable, managesEviction bool) []byte {
	metadata := map[string]any{"uid": uid, "labels": map[string]any{v1alpha1.LabelState: state}}
	if managesEviction {
		evict := map[string]any{SafeToEvict: "true", DoNotDisrupt: nil}
		if !movable {
			evict = map[string]any{SafeToEvict: "false", DoNotDisrupt: "true"}
		}
		metadata["annotations"] = evict
	}
	return encode(map[string]any{"metadata": metadata})
}

// NamePatch is the merge patch that labels a pod as a pool's.
func NamePatch(uid types.UID, pool string) []byte {
	return encode(map[string]any{"metadata": map[string]any{"uid": uid, "labels": map[string]any{v1alpha1.LabelName: pool}}})
}

// encode writes values that always can be: strings, maps and API types.
func encode(v any) []byte {
	text, _ := json.Marshal(v)
	return text
}
