// SPDX-License-Identifier: Apache-2.0

package object

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// execPool is a pool of an exec probe with these containers.
func execPool(probe v1alpha1.ExecProbe, spec corev1.PodSpec) *v1alpha1.HotStandbyJob {
	return &v1alpha1.HotStandbyJob{
		ObjectMeta: metav1.ObjectMeta{Name: "demo", Namespace: "games"},
		Spec: v1alpha1.HotStandbyJobSpec{
			JobTemplate: v1alpha1.JobTemplate{Template: &corev1.PodTemplateSpec{Spec: spec}},
			BusyProbe:   v1alpha1.BusyProbe{Mode: v1alpha1.BusyByExec, Exec: &probe},
		},
	}
}

// TestImpossibleJobs guards against defect 25: what can't work is refused with the field's name, and not tried for ever.
func TestImpossibleJobs(t *testing.T) {
	game := corev1.Container{Name: "game"}
	ready := corev1.Container{Name: "game", ReadinessProbe: &corev1.Probe{}}
	for name, tc := range map[string]struct {
		probe v1alpha1.ExecProbe
		spec  corev1.PodSpec
		want  []string // parts of the message
	}{
		"a container that isn't there": {
			probe: v1alpha1.ExecProbe{Container: new("gone")},
			spec:  corev1.PodSpec{Containers: []corev1.Container{game}},
			want:  []string{"busyProbe.exec.container", `"gone"`},
		},
		"an init container has ended when the pod runs": {
			probe: v1alpha1.ExecProbe{Container: new("setup")},
			spec:  corev1.PodSpec{InitContainers: []corev1.Container{{Name: "setup"}}, Containers: []corev1.Container{game}},
			want:  []string{"busyProbe.exec.container", `"setup"`},
		},
		"no containers at all": {
			want: []string{"busyProbe.exec.container"},
		},
		"runner Kubelet where the container has a readinessProbe": {
			probe: v1alpha1.ExecProbe{Runner: v1alpha1.ExecKubelet},
			spec:  corev1.PodSpec{Containers: []corev1.Container{ready}},
			want:  []string{"busyProbe.exec.runner", `"game"`, "runner: APIServer"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for layout, build := range map[string]func(*v1alpha1.HotStandbyJob) (*batchv1.Job, error){
				"JobPerUnit": func(h *v1alpha1.HotStandbyJob) (*batchv1.Job, error) { return Job(h, Entrypoint{}) },
				"SharedJob":  func(h *v1alpha1.HotStandbyJob) (*batchv1.Job, error) { return SharedJob(h, Entrypoint{}, 1) },
			} {
				job, err := build(execPool(tc.probe, tc.spec))
				if err == nil {
					t.Fatalf("%s: got a Job, %v", layout, job)
				}
				for _, part := range tc.want {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%s: the error %q doesn't say %s", layout, err, part)
					}
				}
			}
		})
	}
}

func TestOverridden(t *testing.T) {
	template := func(p corev1.RestartPolicy) *corev1.PodTemplateSpec {
		return &corev1.PodTemplateSpec{Spec: corev1.PodSpec{RestartPolicy: p}}
	}
	for name, tc := range map[string]struct {
		layout v1alpha1.Layout
		given  v1alpha1.JobTemplate
		want   []string
	}{
		"nothing is given":                                   {},
		"what is given is as it must":                        {given: v1alpha1.JobTemplate{Parallelism: new(int32(3)), Completions: new(int32(3)), Template: template("Never")}},
		"completions alone are 1 like parallelism":           {given: v1alpha1.JobTemplate{Completions: new(int32(1))}},
		"completions differ from parallelism":                {given: v1alpha1.JobTemplate{Completions: new(int32(5))}, want: []string{"jobTemplate.completions"}},
		"a pod that would start again":                       {given: v1alpha1.JobTemplate{Template: template("OnFailure")}, want: []string{"jobTemplate.template.spec.restartPolicy"}},
		"podReplacementPolicy is free where a Job is a unit": {given: v1alpha1.JobTemplate{PodReplacementPolicy: new(batchv1.TerminatingOrFailed)}},
		"podReplacementPolicy isn't where its indexes are":   {layout: v1alpha1.LayoutSharedJob, given: v1alpha1.JobTemplate{PodReplacementPolicy: new(batchv1.TerminatingOrFailed)}, want: []string{"jobTemplate.podReplacementPolicy"}},
		"two at once": {given: v1alpha1.JobTemplate{Completions: new(int32(0)), Template: template("Always")}, want: []string{"jobTemplate.completions", "jobTemplate.template.spec.restartPolicy"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := &v1alpha1.HotStandbyJob{Spec: v1alpha1.HotStandbyJobSpec{Layout: tc.layout, JobTemplate: tc.given}}
			var fields []string
			for _, text := range Overridden(h) {
				field, _, _ := strings.Cut(text, " ")
				fields = append(fields, field)
			}
			if diff := cmp.Diff(tc.want, fields); diff != "" {
				t.Errorf("fields that are overridden (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExecContainer(t *testing.T) {
	spec := &corev1.PodSpec{Containers: []corev1.Container{{Name: "first"}, {Name: "second"}}}
	annotated := map[string]string{"kubectl.kubernetes.io/default-container": "second"}
	for name, tc := range map[string]struct {
		named       *string
		annotations map[string]string
		spec        *corev1.PodSpec
		want        string
	}{
		"the first where nothing is said":    {spec: spec, want: "first"},
		"the annotated one":                  {spec: spec, annotations: annotated, want: "second"},
		"the named one before the annotated": {spec: spec, annotations: annotated, named: new("third"), want: "third"},
		"an empty name is none":              {spec: spec, annotations: annotated, named: new(""), want: "second"},
		"none where there is none":           {spec: &corev1.PodSpec{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ExecContainer(&v1alpha1.ExecProbe{Container: tc.named}, tc.annotations, tc.spec); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestExecIsForModeExecOnly(t *testing.T) {
	h := execPool(v1alpha1.ExecProbe{}, corev1.PodSpec{})
	h.Spec.BusyProbe.Mode = v1alpha1.BusyByHTTP
	if e := Exec(h); e != nil {
		t.Errorf("mode http has the exec probe %+v", e)
	}
	h.Spec.BusyProbe = v1alpha1.BusyProbe{Mode: v1alpha1.BusyByExec}
	want := &v1alpha1.ExecProbe{
		Command: []string{"cat", "/tmp/healthy"}, TimeoutSeconds: 1, PeriodSeconds: 10, Runner: v1alpha1.ExecAuto, SuccessIsBusy: new(true),
	}
	if diff := cmp.Diff(want, Exec(h)); diff != "" {
		t.Errorf("mode exec without a block (-want +got):\n%s", diff)
	}
	h.Spec.BusyProbe.Exec = &v1alpha1.ExecProbe{SuccessIsBusy: new(false)}
	if *Exec(h).SuccessIsBusy {
		t.Error("defect 13: successIsBusy: false is not honoured")
	}
}

// TestNamesAreShortEnough guards against defect 24: 55 characters, the longest name that the API takes, leave room for
// what a Job's name has beside it. 63 is the longest value of the label that names a pod's Job.
func TestNamesAreShortEnough(t *testing.T) {
	h := &v1alpha1.HotStandbyJob{ObjectMeta: metav1.ObjectMeta{Name: strings.Repeat("x", 55)}}
	if n := len(NamePrefix(h)) + len("abcde"); n > 63 {
		t.Errorf("the name of a Job has %d characters", n)
	}
	h.Name = "demo"
	if got := NamePrefix(h); got != "demo-w-" {
		t.Errorf("Jobs are named %s…, not demo-w-… as the Python operator's", got)
	}
}
