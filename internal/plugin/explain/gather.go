// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"context"
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/plugin/cluster"
	"github.com/paia-tech/hotstandbyjob/internal/plugin/page"
)

const launchesShown = 20

// target reads what is to be explained: POOL, job/NAME or pod/NAME.
func target(text string) (kind, name string, err error) {
	kind, name, ok := strings.Cut(text, "/")
	if !ok {
		return "pool", text, nil
	}
	switch strings.ToLower(kind) {
	case "job", "jobs", "job.batch":
		return "job", name, nil
	case "pod", "pods", "po":
		return "pod", name, nil
	case "hsj", "pool", "hotstandbyjob", "hotstandbyjobs", "hotstandbyjob.apps.paia.tech":
		return "pool", name, nil
	}
	return "", "", fmt.Errorf("%q: want POOL, job/NAME or pod/NAME", text)
}

// gather reads what is known.
func gather(ctx context.Context, k *cluster.Cluster, kind, name string) (Snapshot, error) {
	s := Snapshot{Target: kind}
	var err error
	switch kind {
	case "pool":
		s.PoolName = name
		if s.Pool, err = k.Pool(ctx, name); err != nil {
			return s, err
		}
		s.Pods, err = pods(ctx, k, v1alpha1.LabelName+"="+name)
	case "job":
		err = s.gatherJob(ctx, k, name)
	default:
		err = s.gatherPod(ctx, k, name)
	}
	if err != nil {
		return s, err
	}
	return s, s.gatherRest(ctx, k)
}

func (s *Snapshot) gatherJob(ctx context.Context, k *cluster.Cluster, name string) (err error) {
	if s.Job, err = k.Jobs(k.Namespace).Get(ctx, name); err != nil {
		return err
	}
	s.PoolName = s.Job.Labels[v1alpha1.LabelPool]
	s.Pods, err = pods(ctx, k, batchv1.ControllerUidLabel+"="+string(s.Job.UID))
	return err
}

func (s *Snapshot) gatherPod(ctx context.Context, k *cluster.Cluster, name string) (err error) {
	if s.Pod, err = k.Pods(k.Namespace).Get(ctx, name); err != nil {
		return err
	}
	if s.PoolName = s.Pod.Labels[v1alpha1.LabelLaunch]; s.PoolName == "" {
		s.PoolName = s.Pod.Labels[v1alpha1.LabelName]
	}
	owner := metav1.GetControllerOf(s.Pod)
	if owner == nil || owner.Kind != "Job" {
		return nil
	}
	job, err := k.Jobs(k.Namespace).Get(ctx, owner.Name)
	if err == nil && job.UID == owner.UID {
		s.Job = job
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// gatherRest reads the pool, its launches and the Events.
func (s *Snapshot) gatherRest(ctx context.Context, k *cluster.Cluster) error {
	if s.Pool == nil && s.PoolName != "" {
		pool, err := k.Pool(ctx, s.PoolName)
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		if err == nil {
			s.Pool = pool
		}
	}
	if s.PoolName != "" {
		list, err := k.Jobs(k.Namespace).List(ctx, metav1.ListOptions{LabelSelector: v1alpha1.LabelPool + "=" + s.PoolName})
		if err != nil {
			return err
		}
		s.Jobs = list.Items
	}
	if s.Job == nil {
		return nil
	}
	selector := "involvedObject.kind=Job,involvedObject.name=" + s.Job.Name
	events, err := k.Events(k.Namespace).List(ctx, metav1.ListOptions{FieldSelector: selector})
	if err != nil {
		return err
	}
	s.Events = events.Items
	return nil
}

func pods(ctx context.Context, k *cluster.Cluster, selector string) ([]corev1.Pod, error) {
	list, err := k.Pods(k.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// launches asks the operator's page what it remembers.
func launches(ctx context.Context, p *page.Page, namespace string, s *Snapshot) error {
	job := ""
	if s.Job != nil {
		job = s.Job.Name
	}
	got, err := p.Launches(ctx, namespace, s.PoolName, job, launchesShown)
	s.Launches = got
	return err
}
