// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/fit"
	"github.com/paia-tech/hotstandbyjob/internal/object"
)

// all are the manifests of all documents.
func all(t *testing.T) []Manifest {
	t.Helper()
	manifests, err := Manifests(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(manifests) < 15 {
		t.Fatalf("found %d manifests only", len(manifests))
	}
	return manifests
}

// into reads a part of an object as a type, and knows all of its fields.
func into(t *testing.T, what string, content map[string]any, typed any) {
	t.Helper()
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(content, typed, true); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// pool is a manifest as a pool, with the defaults that matter here.
func pool(t *testing.T, m Manifest) *v1alpha1.HotStandbyJob {
	t.Helper()
	h := &v1alpha1.HotStandbyJob{}
	into(t, m.String(), m.Object, h)
	if h.Spec.Assignment == "" {
		h.Spec.Assignment = v1alpha1.AssignmentPull
	}
	return h
}

// The server takes some pools of which no unit can be made: the operator says so in a condition.
func TestUnitsCanBeMadeOfEveryPoolInTheDocuments(t *testing.T) {
	t.Parallel()
	e := object.Entrypoint{Image: "operator", GatewayURL: "https://gateway:7443", CA: "certificate"}
	for _, m := range all(t) {
		if m.GetKind() != "HotStandbyJob" {
			continue
		}
		h := pool(t, m)
		var err error
		switch {
		case h.Spec.Assignment == v1alpha1.AssignmentPush:
			_, err = object.StandbyPod(h, e)
		case h.Spec.Layout == v1alpha1.LayoutSharedJob:
			_, err = object.SharedJob(h, e, 1)
		default:
			_, err = object.Job(h, e)
		}
		if err != nil {
			t.Errorf("%s: no unit can be made of it: %v", m, err)
		}
		if overridden := object.Overridden(h); len(overridden) > 0 {
			t.Errorf("%s: %v", m, overridden)
		}
	}
}

// What the documents say starts warm must fit into its pool.
func TestEveryJobInTheDocumentsStartsWarm(t *testing.T) {
	t.Parallel()
	manifests, launches := all(t), 0
	for _, m := range manifests {
		for _, job := range jobsOf(t, m) {
			name, ok := job.Labels[v1alpha1.LabelPool]
			if !ok {
				continue
			}
			h := poolOf(t, manifests, m, name)
			if h == nil {
				continue
			}
			launches++
			pod := &corev1.Pod{ObjectMeta: *job.Spec.Template.ObjectMeta.DeepCopy(), Spec: job.Spec.Template.Spec}
			if pod.Spec.RestartPolicy == "" {
				t.Errorf("%s: the pod template has no restartPolicy", m)
			}
			if _, mismatch := fit.Check(fit.Pool{Template: *object.Template(h), Container: object.StandbyContainer(h)}, pod); mismatch != nil {
				t.Errorf("%s starts cold: %s: the pool has %s, the Job %s", m, mismatch.Field, mismatch.Pool, mismatch.Job)
			}
		}
	}
	if launches < 6 {
		t.Errorf("found %d launches only", launches)
	}
}

// poolOf is the pool that a Job names, from the manifests beside it; nil in Markdown, where it may be on another page.
func poolOf(t *testing.T, manifests []Manifest, m Manifest, name string) *v1alpha1.HotStandbyJob {
	t.Helper()
	for _, other := range manifests {
		if other.Group == m.Group && other.GetKind() == "HotStandbyJob" && other.GetName() == name {
			h := pool(t, other)
			if h.Spec.Assignment != v1alpha1.AssignmentPush {
				t.Errorf("%s asks for pool %s, whose assignment is %s", m, name, h.Spec.Assignment)
			}
			return h
		}
	}
	if strings.HasSuffix(m.File, ".yaml") {
		t.Errorf("%s asks for pool %s, which is not in this file", m, name)
	}
	return nil
}

// jobsOf are the Jobs that an object is, or that its controller makes of it.
func jobsOf(t *testing.T, m Manifest) []batchv1.Job {
	t.Helper()
	at := func(fields ...string) map[string]any {
		part, _, err := unstructured.NestedMap(m.Object, fields...)
		if err != nil {
			t.Fatalf("%s: %v", m, err)
		}
		return part
	}
	switch m.GetKind() {
	case "Job":
		job := batchv1.Job{}
		into(t, m.String(), m.Object, &job)
		return []batchv1.Job{job}
	case "CronJob":
		cron := batchv1.CronJob{}
		into(t, m.String(), m.Object, &cron)
		return []batchv1.Job{{ObjectMeta: cron.Spec.JobTemplate.ObjectMeta, Spec: cron.Spec.JobTemplate.Spec}}
	case "ScaledJob": // KEDA puts the labels of a ScaledJob on its Jobs
		job := batchv1.Job{ObjectMeta: metav1.ObjectMeta{Labels: m.GetLabels()}}
		into(t, m.String(), at("spec", "jobTargetRef"), &job.Spec)
		return []batchv1.Job{job}
	case "Workflow", "WorkflowTemplate", "CronWorkflow":
		return resourceJobs(t, m)
	}
	return nil
}

// resourceJobs are the Jobs that a Workflow creates by templates of type resource.
func resourceJobs(t *testing.T, m Manifest) []batchv1.Job {
	t.Helper()
	templates, _, err := unstructured.NestedSlice(m.Object, "spec", "templates")
	if err != nil {
		t.Fatalf("%s: %v", m, err)
	}
	var jobs []batchv1.Job
	for _, template := range templates {
		fields, _ := template.(map[string]any)
		text, found, err := unstructured.NestedString(fields, "resource", "manifest")
		if err != nil {
			t.Fatalf("%s: %v", m, err)
		}
		if !found {
			continue
		}
		objects, err := decode(text)
		if err != nil {
			t.Errorf("%s: %v", m, err)
		}
		for _, o := range objects {
			jobs = append(jobs, jobsOf(t, Manifest{File: m.File, Group: m.Group, Unstructured: o})...)
		}
	}
	return jobs
}
