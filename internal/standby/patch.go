// SPDX-License-Identifier: Apache-2.0

package standby

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// What autoscalers read on pods.
const (
	safeToEvict  = "cluster-autoscaler.kubernetes.io/safe-to-evict"
	doNotDisrupt = "karpenter.sh/do-not-disrupt"
)

// operation is one of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// patchFor is the JSON patch that makes an idle pod a Job's. It tests the state and not the resource version, so that the
// kubelet's writes of the status don't get in its way.
func (r *Registry) patchFor(e *entry, c *Claim, text string) ([]byte, error) {
	r.mu.Lock()
	present, managesEviction := e.finalizers, e.pool.settings.ManagesEviction
	r.mu.Unlock()
	labels := maps.Clone(c.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[v1alpha1.LabelState] = string(v1alpha1.PodBusy)
	annotations := map[string]string{}
	if managesEviction {
		annotations[safeToEvict], annotations[doNotDisrupt] = "false", "true"
	}
	maps.Copy(annotations, c.Annotations)
	annotations[v1alpha1.AnnotationPayload] = text

	patch := []operation{
		{"test", "/metadata/labels/" + escape(v1alpha1.LabelState), v1alpha1.PodIdle},
		{"test", "/metadata/uid", e.id.UID},
		{"test", "/metadata/deletionTimestamp", nil},
		{"add", "/metadata/ownerReferences", []metav1.OwnerReference{c.Owner}},
	}
	patch = appendMap(patch, "/metadata/labels/", labels)
	patch = appendMap(patch, "/metadata/annotations/", annotations)
	patch = appendFinalizers(patch, present, c.Finalizers)
	encoded, err := json.Marshal(patch)
	if err != nil {
		return nil, fmt.Errorf("encode the claim: %w", err)
	}
	return encoded, nil
}

// retirement is the JSON patch that gives a claimed pod back to its pool, to be deleted. It fails if the pod has another
// launch by now, or another owner.
func (r *Registry) retirement(p *corev1.Pod, name types.NamespacedName, finalizer string) ([]byte, error) {
	r.mu.Lock()
	owners := []metav1.OwnerReference{}
	if of, ok := r.pools[name]; ok && of.settings.UID != "" {
		owners = append(owners, metav1.OwnerReference{
			APIVersion: ownerVersion, Kind: ownerKind, Name: name.Name, UID: of.settings.UID, Controller: new(true),
		})
	}
	r.mu.Unlock()
	finalizers := slices.DeleteFunc(append([]string{}, p.Finalizers...), func(f string) bool { return f == finalizer })
	payload := escape(v1alpha1.AnnotationPayload)
	encoded, err := json.Marshal([]operation{
		{"test", "/metadata/uid", p.UID},
		{"test", "/metadata/annotations/" + payload, p.Annotations[v1alpha1.AnnotationPayload]},
		{"test", "/metadata/ownerReferences", p.OwnerReferences},
		{"remove", "/metadata/labels/" + escape(v1alpha1.LabelLaunch), nil},
		{"add", "/metadata/labels/" + escape(v1alpha1.LabelState), v1alpha1.PodRetiring},
		{"replace", "/metadata/ownerReferences", owners},
		{"add", "/metadata/finalizers", finalizers},
	})
	if err != nil {
		return nil, fmt.Errorf("encode the retirement: %w", err)
	}
	return encoded, nil
}

// appendMap sets the entries of a map, in order, so that equal claims are equal patches.
func appendMap(patch []operation, path string, entries map[string]string) []operation {
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		patch = append(patch, operation{"add", path + escape(key), entries[key]})
	}
	return patch
}

// appendFinalizers adds to the finalizers that a pod has. A list must be there to be added to.
func appendFinalizers(patch []operation, present, more []string) []operation {
	more = slices.DeleteFunc(slices.Clone(more), func(f string) bool { return slices.Contains(present, f) })
	if len(present) == 0 && len(more) > 0 {
		return append(patch, operation{"add", "/metadata/finalizers", more})
	}
	for _, f := range more {
		patch = append(patch, operation{"add", "/metadata/finalizers/-", f})
	}
	return patch
}

// escape writes a key as part of a JSON pointer.
func escape(key string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(key) }
