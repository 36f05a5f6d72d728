// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/plugin/cluster"
)

// source is what the user runs, as its manifest would be.
type source struct {
	kind, name string
	manifest   runtime.Object
	spec       *batchv1.JobSpec
	labels     *map[string]string // of the Jobs
}

// read gets what job/NAME or cronjob/NAME is.
func read(ctx context.Context, k *cluster.Cluster, from string) (source, error) {
	kind, name, _ := strings.Cut(from, "/")
	switch strings.ToLower(kind) {
	case "job", "jobs", "job.batch", "jobs.batch":
		j, err := k.Jobs(k.Namespace).Get(ctx, name)
		if err != nil {
			return source{}, err
		}
		return ofJob(j), nil
	case "cronjob", "cronjobs", "cj", "cronjob.batch", "cronjobs.batch":
		c, err := k.CronJobs(k.Namespace).Get(ctx, name)
		if err != nil {
			return source{}, err
		}
		return ofCronJob(c), nil
	default:
		return source{}, fmt.Errorf("--from %q: want job/NAME or cronjob/NAME", from)
	}
}

func ofJob(j *batchv1.Job) source {
	j = j.DeepCopy()
	j.TypeMeta = metav1.TypeMeta{APIVersion: batchv1.SchemeGroupVersion.String(), Kind: "Job"}
	j.Status = batchv1.JobStatus{}
	if j.Spec.ManualSelector == nil || !*j.Spec.ManualSelector {
		j.Spec.Selector = nil
	}
	clean(&j.ObjectMeta)
	strip(&j.Spec.Template)
	return source{"Job", j.Name, j, &j.Spec, &j.Labels}
}

func ofCronJob(c *batchv1.CronJob) source {
	c = c.DeepCopy()
	c.TypeMeta = metav1.TypeMeta{APIVersion: batchv1.SchemeGroupVersion.String(), Kind: "CronJob"}
	c.Status = batchv1.CronJobStatus{}
	clean(&c.ObjectMeta)
	t := &c.Spec.JobTemplate
	strip(&t.Spec.Template)
	return source{"CronJob", c.Name, c, &t.Spec, &t.Labels}
}

// clean leaves of an object's metadata what its owner wrote.
func clean(m *metav1.ObjectMeta) {
	annotations := m.Annotations
	delete(annotations, "kubectl.kubernetes.io/last-applied-configuration")
	labels := m.Labels
	for key := range labels {
		if isTracking(key) {
			delete(labels, key)
		}
	}
	*m = metav1.ObjectMeta{Name: m.Name, Namespace: m.Namespace, Labels: labels, Annotations: annotations}
}

// change is what is to be changed in the user's own manifest, as a unified diff: the label.
func (s source) change(pool string) (string, error) {
	before, err := text(s.manifest)
	if err != nil {
		return "", err
	}
	if *s.labels == nil {
		*s.labels = map[string]string{}
	}
	(*s.labels)[v1alpha1.LabelPool] = pool
	after, err := text(s.manifest)
	if err != nil {
		return "", err
	}
	file := strings.ToLower(s.kind) + "/" + s.name
	return difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: difflib.SplitLines(before), B: difflib.SplitLines(after), FromFile: file, ToFile: file, Context: 3,
	})
}

// text is an object's manifest, without what the server alone writes.
func text(o any) (string, error) {
	raw, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return "", err
	}
	delete(raw, "status")
	prune(raw)
	out, err := yaml.Marshal(raw)
	return string(out), err
}

// prune takes away what an encoder writes for what isn't set.
func prune(o map[string]any) {
	for key, value := range o {
		switch v := value.(type) {
		case nil:
			delete(o, key)
		case map[string]any:
			if prune(v); len(v) == 0 && slices.Contains([]string{"metadata", "resources", "status", "updateStrategy", "busyProbe"}, key) {
				delete(o, key)
			}
		case []any:
			pruneAll(v)
		}
	}
}

func pruneAll(list []any) {
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			prune(m)
		}
	}
}
