// SPDX-License-Identifier: Apache-2.0

package object

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/yaml"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

const samples = "../../config/samples/"

// read is a pool from a manifest. Fields that the API doesn't have are errors.
func read(t *testing.T, path string) *v1alpha1.HotStandbyJob {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h := &v1alpha1.HotStandbyJob{}
	if err := yaml.UnmarshalStrict(text, h); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	h.UID = "7d0c7b6e-0000-4000-8000-000000000001"
	return h
}

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, path string, got any) {
	t.Helper()
	text, err := yaml.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, text, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; renew the golden files with -update", err)
	}
	if diff := cmp.Diff(string(want), string(text)); diff != "" {
		t.Errorf("%s (-want +got), renew it with -update if it shall be so:\n%s", path, diff)
	}
}

// TestJob holds what becomes of manifests. Each has a folder in testdata with its pool.yaml and its job.yaml; the two of
// the Python operator are config/samples.
func TestJob(t *testing.T) {
	for name, tc := range map[string]struct{ dir, pool string }{
		"the manifest of the Python operator's README, which never made a pod there (defect 29)": {"seed-readme", samples + "seed-readme.yaml"},
		"the Python operator's example": {"seed-example", samples + "seed-example.yaml"},
		"the shorthand with all of its fields, and a selector (defect 23: its labels are on the pods)":          {dir: "shorthand"},
		"every field of a Job's spec, with three pods to a unit":                                                {dir: "parallelism-3"},
		"a busy annotation leaves the template alone":                                                           {dir: "annotation"},
		"an HTTP probe leaves the template alone":                                                               {dir: "http"},
		"a Redis probe leaves the template alone":                                                               {dir: "redis"},
		"an exec probe without anything has the Python operator's command (defect 14: never without a timeout)": {dir: "exec-defaults"},
		"the kubelet runs the command in the container that is named":                                           {dir: "exec-container"},
		"the kubelet runs the command in the container that is annotated":                                       {dir: "exec-annotated-container"},
		"the kubelet runs the command in a sidecar":                                                             {dir: "exec-sidecar"},
		"runner Auto leaves a readinessProbe of the container's own":                                            {dir: "exec-own-readiness"},
		"runner APIServer leaves the template alone":                                                            {dir: "exec-apiserver"},
		"the autoscaler's annotation that the user gave stays, and is all":                                      {dir: "eviction-autoscaler"},
		"Karpenter's annotation that the user gave stays, and is all":                                           {dir: "eviction-karpenter"},
		"fields that can't be as given are overridden":                                                          {dir: "overridden"},
		"labels of the operator's own win":                                                                      {dir: "own-labels"},
		"the entrypoint runs the command of a pod that reports whether it is busy":                              {dir: "report"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.pool == "" {
				tc.pool = filepath.Join("testdata", tc.dir, "pool.yaml")
			}
			h := read(t, tc.pool)
			given := h.DeepCopy()
			job, err := Job(h, operator())
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", tc.dir, "job.yaml"), job)
			if diff := cmp.Diff(given, h); diff != "" {
				t.Errorf("the pool was changed (-before +after):\n%s", diff)
			}
		})
	}
}

// operator is what the entrypoint is told of it.
func operator() Entrypoint {
	return Entrypoint{Image: "hotstandbyjob-standby:dev", GatewayURL: "https://hsj-gateway.hsj-system.svc:8443", CA: "PEM\n"}
}

// TestStandbyPod is TestJob for plain pods.
func TestStandbyPod(t *testing.T) {
	for name, dir := range map[string]string{
		"the shorthand, with all defaults":                               "standby-shorthand",
		"a warm-up in the second container, and every field of standby":  "standby-warmup",
		"a restricted template, with volumes, a sidecar and a quota":     "standby-restricted",
		"labels and annotations of launches aren't taken from templates": "standby-own-labels",
	} {
		t.Run(name, func(t *testing.T) {
			h := read(t, filepath.Join("testdata", dir, "pool.yaml"))
			given := h.DeepCopy()
			pod, err := StandbyPod(h, operator())
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", dir, "pod.yaml"), pod)
			if diff := cmp.Diff(given, h); diff != "" {
				t.Errorf("the pool was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestSharedJob(t *testing.T) {
	for name, tc := range map[string]struct {
		dir   string
		units int32
	}{
		"room for 20 units of the shorthand":                              {"shared", 20},
		"three pods to a unit, and the user's rules after the operator's": {"shared-parallelism-3", 4},
	} {
		t.Run(name, func(t *testing.T) {
			h := read(t, filepath.Join("testdata", tc.dir, "pool.yaml"))
			given := h.DeepCopy()
			job, err := SharedJob(h, Entrypoint{}, tc.units)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", tc.dir, "job.yaml"), job)
			if diff := cmp.Diff(given, h); diff != "" {
				t.Errorf("the pool was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestPodIsWhatTheJobControllerWouldMake(t *testing.T) {
	job, err := Job(read(t, samples+"seed-example.yaml"), Entrypoint{})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("testdata", "seed-example", "pod.yaml"), Pod(job))
	if diff := cmp.Diff(job.Spec.Template.Labels, Pod(job).Labels); diff != "" {
		t.Errorf("labels (-template +pod):\n%s", diff)
	}
}

func TestSharedJobKeepsTheUsersRules(t *testing.T) {
	h := read(t, filepath.Join("testdata", "shared-parallelism-3", "pool.yaml"))
	job, err := SharedJob(h, Entrypoint{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	rules := job.Spec.PodFailurePolicy.Rules
	if rules[0].Action != batchv1.PodFailurePolicyActionFailIndex || rules[0].OnPodConditions[0].Type != PodRetired {
		t.Errorf("the first rule is %+v: a retired pod's index must fail before any other rule is asked", rules[0])
	}
	if diff := cmp.Diff(h.Spec.JobTemplate.PodFailurePolicy.Rules, rules[1:]); diff != "" {
		t.Errorf("the user's rules (-given +got):\n%s", diff)
	}
}
