// SPDX-License-Identifier: Apache-2.0

// Package kube is what the controllers share for talking to the API server: what is cached, and how status is written.
package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// PoolIndex is the index of Jobs and pods by the pool that they are labelled with, without the pods that aren't its units.
const PoolIndex = "pool"

// maxLaunchID is how much is kept of what should be the ID of a launch, which is a UUID.
const maxLaunchID = 64

// CacheOptions say what is watched and kept: Jobs and pods of pools, in the namespace or, if it is empty, in all, and
// of these what the controllers read. Memory then grows with the pools, not with the cluster.
func CacheOptions(namespace string) (cache.Options, error) {
	ours, err := labels.NewRequirement(v1alpha1.LabelName, selection.Exists, nil)
	if err != nil {
		return cache.Options{}, fmt.Errorf("select objects of pools: %w", err)
	}
	selector := labels.NewSelector().Add(*ours)
	o := cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&batchv1.Job{}: {Label: selector, Transform: slimJob},
			&corev1.Pod{}:  {Label: selector, Transform: slimPod},
			&corev1.Node{}: {Transform: slimNode},
		},
	}
	if namespace != "" {
		// One namespace or all: with several, a read can't wait for the operator's own writes, since each namespace has a
		// watch of its own and one of them having caught up says nothing about the others.
		o.DefaultNamespaces = map[string]cache.Config{namespace: {}}
	}
	return o, nil
}

// Index adds the index of Jobs and pods by pool.
func Index(ctx context.Context, indexer client.FieldIndexer) error {
	for _, kind := range []client.Object{&batchv1.Job{}, &corev1.Pod{}} {
		err := indexer.IndexField(ctx, kind, PoolIndex, func(o client.Object) []string {
			if p, ok := o.(*corev1.Pod); ok && Spent(p) {
				return nil
			}
			return []string{o.GetLabels()[v1alpha1.LabelName]}
		})
		if err != nil {
			return fmt.Errorf("index %T by pool: %w", kind, err)
		}
	}
	return nil
}

// Spent tells whether a pod is its launch's alone: it was made for that one, or has ended. There may be thousands of them, since they
// stay for as long as their Jobs do, while each look at a pool reads all that is in the index.
func Spent(p *corev1.Pod) bool {
	return p.Labels[v1alpha1.LabelLaunch] != "" && (p.Annotations[v1alpha1.AnnotationStart] == v1alpha1.StartCold ||
		p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed)
}

// slimJob leaves out the pod template but for its labels.
func slimJob(in any) (any, error) {
	if j, ok := in.(*batchv1.Job); ok {
		j.ManagedFields = nil
		j.Spec.Template = corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: j.Spec.Template.Labels}}
		j.Spec.PodFailurePolicy = nil
	}
	return in, nil
}

// slimPod keeps of a pod's spec its node, its restart policy and the names of its containers, and all of its metadata
// but for two long annotations: of a launch's payload its ID is kept, which is text that no JSON object begins with, and
// empty while there is no launch; the gateway's certificate is left out.
func slimPod(in any) (any, error) {
	if p, ok := in.(*corev1.Pod); ok {
		p.ManagedFields = nil
		if payload := p.Annotations[v1alpha1.AnnotationPayload]; payload != "" {
			p.Annotations[v1alpha1.AnnotationPayload] = launchID(payload)
		}
		delete(p.Annotations, v1alpha1.AnnotationGatewayCA)
		spec := corev1.PodSpec{NodeName: p.Spec.NodeName, RestartPolicy: p.Spec.RestartPolicy}
		for _, c := range p.Spec.Containers {
			spec.Containers = append(spec.Containers, corev1.Container{Name: c.Name})
		}
		p.Spec = spec
	}
	return in, nil
}

// launchID is the ID of a payload, and what isn't a payload as it is: a transform may see an object twice. Whatever else
// is in the annotation, it doesn't seem empty.
func launchID(payload string) string {
	var launch struct {
		ID string `json:"id"`
	}
	id := payload
	if strings.HasPrefix(payload, "{") && json.Unmarshal([]byte(payload), &launch) == nil {
		id = cmp.Or(launch.ID, "?")
	}
	// A copy, since a part of the payload would keep all of it in memory.
	return strings.Clone(id[:min(len(id), maxLaunchID)])
}

// slimNode keeps whether a node works and takes new pods.
func slimNode(in any) (any, error) {
	n, ok := in.(*corev1.Node)
	if !ok {
		return in, nil
	}
	slim := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.Name, UID: n.UID, ResourceVersion: n.ResourceVersion},
		Spec:       corev1.NodeSpec{Unschedulable: n.Spec.Unschedulable},
	}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			slim.Status.Conditions = []corev1.NodeCondition{{Type: c.Type, Status: c.Status}}
		}
	}
	return slim, nil
}

// NodeReady says whether a node reports that it works.
func NodeReady(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
