// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// copyOf is the definition with a group of its own, so that a test may remove it again: removing the definition itself
// would remove the pools of all tests.
func copyOf(t *testing.T, s server) *unstructured.Unstructured {
	t.Helper()
	crd := definition(t)
	group := s.namespace + ".example.com"
	crd.SetName("hotstandbyjobs." + group)
	for path, value := range map[string]any{"group": group, "names": map[string]any{
		"kind": "HotStandbyJob", "listKind": "HotStandbyJobList", "plural": "hotstandbyjobs", "singular": "hotstandbyjob",
	}} {
		if err := unstructured.SetNestedField(crd.Object, value, "spec", path); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := s.client.Resource(definitions()).Delete(ctx, crd.GetName(), metav1.DeleteOptions{}); err != nil {
			t.Errorf("removing the copy of the definition: %v", err)
		}
	})
	return crd
}

// Client-side apply stores the whole definition in an annotation, which may have 256 KiB.
func TestAPIDefinitionIsAppliedFromEitherSide(t *testing.T) {
	for name, flags := range map[string][]string{"client": nil, "server": {"--server-side"}} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			data, err := json.Marshal(copyOf(t, s).Object)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "crd.json")
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if _, err := s.kubectl(t, append([]string{"apply", "--filename", file}, flags...)...); err != nil {
					t.Fatal(err)
				}
			}
			if size := len(data); size > 128<<10 {
				t.Errorf("the definition has %d bytes, want at most half of what may be stored", size)
			}
		})
	}
}

// A pool that was stored under the Python operator's definition may break rules that it didn't have. It must still be
// possible to report on it, and to let go of it: without that, its deletion would wait for ever.
func TestAPIOldPoolsCanBeReportedOnAndReleased(t *testing.T) {
	s := newServer(t)
	crd := copyOf(t, s)
	group := s.namespace + ".example.com"
	before := crd.DeepCopy()
	versions, _, err := unstructured.NestedSlice(before.Object, "spec", "versions")
	if err != nil {
		t.Fatal(err)
	}
	versions[0].(map[string]any)["schema"] = map[string]any{"openAPIV3Schema": map[string]any{
		"type": "object", "x-kubernetes-preserve-unknown-fields": true,
	}}
	if err := unstructured.SetNestedSlice(before.Object, versions, "spec", "versions"); err != nil {
		t.Fatal(err)
	}
	s.install(t, before)
	long := strings.Repeat("a", 60)
	for name, spec := range map[string]string{
		long:          `{idleTarget: 1, ` + shorthand + `}`,
		"bounds":      `{minReplicas: 3, maxReplicas: 1, ` + shorthand + `}`,
		"probe":       `{busyProbe: {mode: annotation, exec: {command: [a]}, http: {port: 0}}, ` + shorthand + `}`,
		"no-template": `{idleTarget: 1}`,
		"no-pods":     `{jobTemplate: {comand: [a]}}`,
	} {
		old := s.pool(t, name, spec)
		old.SetAPIVersion(group + "/v1alpha1")
		old.SetFinalizers([]string{"kopf.zalando.org/KopfFinalizerMarker"})
		if _, err := s.poolsOf(group).Create(t.Context(), old, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	s.install(t, crd)
	// The new definition is in force as soon as it refuses what the old one took.
	bad := s.pool(t, "bad", `{idleTarget: 1}`)
	bad.SetAPIVersion(group + "/v1alpha1")
	gomega.NewWithT(t).Eventually(func() error {
		_, err := s.poolsOf(group).Create(t.Context(), bad, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}, 30*time.Second, 50*time.Millisecond).ShouldNot(gomega.Succeed())
	for _, name := range []string{long, "bounds", "probe", "no-template", "no-pods"} {
		if _, err := s.poolsOf(group).Patch(t.Context(), name, types.MergePatchType,
			[]byte(`{"status":{"busyCount":1}}`), metav1.PatchOptions{}, "status"); err != nil {
			t.Errorf("writing the status of %s: %v", name, err)
		}
		if _, err := s.poolsOf(group).Patch(t.Context(), name, types.MergePatchType,
			[]byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
			t.Errorf("removing the finalizer of %s: %v", name, err)
		}
	}
}

func TestAPIExplainReadsLikeDocumentation(t *testing.T) {
	s := newServer(t)
	for field, words := range map[string][]string{
		"hsj.spec.busyProbe": {
			"tells busy pods from idle ones", "enum: annotation, http, exec, redis", "Defaults to annotation.",
			"the operator sends GET to the pod", "a command is run in the container", "keyspace notifications",
			"paia.tech/busy",
		},
		"hsj.spec.busyProbe.exec":        {"no shell is involved", "success means busy, and failure idle", "readinessProbe", "pods/exec"},
		"hsj.spec.busyProbe.http":        {"how long the answer may take", "Defaults to 8080.", "Defaults to /busy."},
		"hsj.spec.busyProbe.redis":       {"REDIS_HOST", "mlgame-daemon-pod", "an older entry is unknown"},
		"hsj.spec.jobTemplate":           {"the spec of a batch/v1 Job, or its shorthand", "restartPolicy is always Never"},
		"hsj.spec.jobTemplate.template":  {"kubectl explain job.spec.template"},
		"hsj.spec.scaleDownDelaySeconds": {"Busy units are never retired", "Defaults to 30."},
		"hsj.status":                     {"Ready, Progressing, Degraded and AtCapacity"},
	} {
		t.Run(field, func(t *testing.T) {
			// What explain reads is published some time after the definition.
			gomega.NewWithT(t).Eventually(func() []string {
				out, err := s.kubectl(t, "explain", field)
				if err != nil {
					return []string{err.Error()}
				}
				text := strings.Join(strings.Fields(out), " ")
				var absent []string
				for _, word := range words {
					if !strings.Contains(text, word) {
						absent = append(absent, word)
					}
				}
				return absent
			}, time.Minute, time.Second).Should(gomega.BeEmpty(), "words that are missing")
		})
	}
}

func TestAPIColumns(t *testing.T) {
	s := newServer(t)
	s.create(t, "x", `{idleTarget: 5, minReplicas: 1, maxReplicas: 9, `+shorthand+`}`)
	if _, err := s.pools().Patch(t.Context(), "x", types.MergePatchType, []byte(`{"status":{
		"busyCount":2,"idleCount":3,"activeCount":4,"desiredActive":7,"childJobs":8,"activeJobs":5,"completedJobs":2,"failedJobs":1,
		"lastSyncTime":"2026-01-02T03:04:05.000000Z","conditions":[{"type":"Ready","status":"False","reason":"Filling",
		"message":"m","lastTransitionTime":"2026-01-02T03:04:05Z"}]}}`), metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	out, err := s.kubectl(t, "get", "hsj", "x")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	want := []string{
		"NAME", "MODE", "IDLETARGET", "MIN", "MAX", "BUSY", "IDLE", "ACTIVEPODS", "DESIREDACTIVE", "CHILDJOBS", "ACTIVEJOBS",
		"COMPLETEDJOBS", "FAILEDJOBS", "LASTSYNC", "AGE", "READY", "REASON", "ASSIGNMENT",
	}
	if diff := cmp.Diff(want, strings.Fields(lines[0])); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	values := strings.Fields(lines[1])
	if len(values) != len(want) {
		t.Fatalf("the values are %q, want one for each column", values)
	}
	values[13], values[14] = "", "" // times
	if diff := cmp.Diff([]string{
		"x", "annotation", "5", "1", "9", "2", "3", "4", "7", "8", "5", "2", "1", "", "", "False", "Filling", "Pull",
	}, values); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestAPIScale(t *testing.T) {
	s := newServer(t)
	s.create(t, "x", `{idleTarget: 5, `+shorthand+`}`)
	if _, err := s.pools().Patch(t.Context(), "x", types.MergePatchType,
		[]byte(`{"status":{"idleCount":4,"selector":"hsj.paia.tech/name=x"}}`), metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.kubectl(t, "scale", "hsj/x", "--current-replicas", "5", "--replicas", "7"); err != nil {
		t.Fatal(err)
	}
	scale, err := s.pools().Get(t.Context(), "x", metav1.GetOptions{}, "scale")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"spec":   map[string]any{"replicas": int64(7)},
		"status": map[string]any{"replicas": int64(4), "selector": "hsj.paia.tech/name=x"},
	}
	got := map[string]any{"spec": scale.Object["spec"], "status": scale.Object["status"]}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("scale (-want +got):\n%s", diff)
	}
	pool, err := s.pools().Get(t.Context(), "x", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if target, _, _ := unstructured.NestedInt64(pool.Object, "spec", "idleTarget"); target != 7 {
		t.Errorf("idleTarget is %d after scaling to 7", target)
	}
}
