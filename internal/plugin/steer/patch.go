// SPDX-License-Identifier: Apache-2.0

// Package steer drains, pauses and resumes pools.
package steer

import (
	"encoding/json"
	"fmt"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// drained is what a pool had before it was drained.
type drained struct {
	IdleTarget  int32  `json:"idleTarget"`
	MinReplicas *int32 `json:"minReplicas,omitempty"`
}

// change is a JSON merge patch of a pool at the version that was read.
type change struct {
	Metadata struct {
		ResourceVersion string             `json:"resourceVersion"`
		Annotations     map[string]*string `json:"annotations,omitempty"`
	} `json:"metadata"`
	Spec map[string]any `json:"spec"`
}

func changeOf(h *v1alpha1.HotStandbyJob) *change {
	c := &change{Spec: map[string]any{}}
	c.Metadata.ResourceVersion = h.ResourceVersion
	return c
}

func (c *change) annotate(value *string) {
	c.Metadata.Annotations = map[string]*string{v1alpha1.AnnotationDrained: value}
}

func (c *change) patch() ([]byte, error) { return json.Marshal(c) }

// drain is the change that takes a pool's idle units away; nil if nothing is to be changed.
func drain(h *v1alpha1.HotStandbyJob) (*change, error) {
	if h.Spec.Paused {
		return nil, fmt.Errorf("pool %s is paused, and the operator retires nothing: resume it first (kubectl hsj resume %s)", h.Name, h.Name)
	}
	if h.Spec.IdleTarget == 0 && (h.Spec.MinReplicas == nil || *h.Spec.MinReplicas == 0) {
		return nil, nil //nolint:nilnil // nothing to change is no error
	}
	c := changeOf(h)
	if _, before := h.Annotations[v1alpha1.AnnotationDrained]; !before { // what was put back half-way isn't what to go back to
		text, err := json.Marshal(drained{IdleTarget: h.Spec.IdleTarget, MinReplicas: h.Spec.MinReplicas})
		if err != nil {
			return nil, err
		}
		c.annotate(new(string(text)))
	}
	c.Spec["idleTarget"] = 0
	if h.Spec.MinReplicas != nil {
		c.Spec["minReplicas"] = 0
	}
	return c, nil
}

// pause is the change that pauses a pool; nil if it is paused.
func pause(h *v1alpha1.HotStandbyJob) *change {
	if h.Spec.Paused {
		return nil
	}
	c := changeOf(h)
	c.Spec["paused"] = true
	return c
}

// resume is the change that ends a pause and a drain, and what it does in words; nil if there is neither.
func resume(h *v1alpha1.HotStandbyJob) (*change, string, error) {
	c, said := changeOf(h), ""
	if h.Spec.Paused {
		c.Spec["paused"] = false
		said = "resumed"
	}
	if text, ok := h.Annotations[v1alpha1.AnnotationDrained]; ok {
		var before drained
		if err := json.Unmarshal([]byte(text), &before); err != nil || before.IdleTarget < 0 {
			return nil, "", fmt.Errorf("pool %s: its annotation %s isn't what drain writes: set spec.idleTarget yourself and remove it (kubectl annotate hsj %s %s-)",
				h.Name, v1alpha1.AnnotationDrained, h.Name, v1alpha1.AnnotationDrained)
		}
		c.annotate(nil)
		said = "resumed"
		if h.Spec.IdleTarget == 0 { // else somebody has set it since
			c.Spec["idleTarget"] = before.IdleTarget
			said = fmt.Sprintf("resumed with idleTarget %d", before.IdleTarget)
		}
		if before.MinReplicas != nil && h.Spec.MinReplicas != nil && *h.Spec.MinReplicas == 0 {
			c.Spec["minReplicas"] = *before.MinReplicas
		}
	}
	if said == "" {
		return nil, "", nil
	}
	return c, said, nil
}

// left says how many idle and starting units a drained pool still has, and whether the operator has seen that it is drained.
func left(h *v1alpha1.HotStandbyJob) (units int32, seen bool) {
	return h.Status.IdleCount + h.Status.StartingCount, h.Status.ObservedGeneration >= h.Generation
}
