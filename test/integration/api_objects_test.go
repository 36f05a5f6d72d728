// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// The samples seed-*.yaml are the manifests of the Python operator's users.
func TestAPITakesTheSamples(t *testing.T) {
	s := newServer(t)
	files, err := filepath.Glob(samples + "/*.yaml")
	if err != nil || !has(files, "seed-example.yaml") || !has(files, "seed-readme.yaml") {
		t.Fatalf("the samples are %q (%v)", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			// One of them names its namespace, which other tests share: nothing is stored.
			if _, err := s.kubectl(t, "apply", "--dry-run=server", "--namespace", "default", "--filename", file); err != nil {
				t.Error(err)
			}
			// As it is, but for that: and whatever it says is what is stored.
			manifest := object(t, string(data))
			manifest.SetNamespace(s.namespace)
			stored, err := s.pools().Create(t.Context(), manifest, metav1.CreateOptions{FieldValidation: "Strict"})
			if err != nil {
				t.Fatal(err)
			}
			if lost := missing(manifest.Object["spec"], stored.Object["spec"], "spec"); len(lost) > 0 {
				t.Errorf("the server lost or changed %q", lost)
			}
		})
	}
}

// missing lists what of want isn't in got, which may have more.
func missing(want, got any, path string) []string {
	fields, ok := want.(map[string]any)
	if !ok {
		if cmp.Equal(want, got) {
			return nil
		}
		if items, ok := want.([]any); !ok || !sameItems(items, got, path) {
			return []string{path}
		}
		return nil
	}
	object, _ := got.(map[string]any)
	var all []string
	for name, value := range fields {
		all = append(all, missing(value, object[name], path+"."+name)...)
	}
	return all
}

func sameItems(want []any, got any, path string) bool {
	items, ok := got.([]any)
	if !ok || len(items) != len(want) {
		return false
	}
	for i := range want {
		if len(missing(want[i], items[i], path)) > 0 {
			return false
		}
	}
	return true
}

func TestAPIDefaults(t *testing.T) {
	s := newServer(t)
	always := `assignment: Pull, layout: JobPerUnit, idleTarget: 0, scaleDownDelaySeconds: 30, updateStrategy: {type: RollingUpdate},
		failedUnitsHistoryLimit: 1, succeededUnitsHistoryLimit: 3, ` + shorthand
	const annotation = `busyProbe: {mode: annotation, annotationKey: paia.tech/busy}`
	for name, tc := range map[string]struct{ spec, want string }{
		"of a pool": {`{` + shorthand + `}`, `{` + annotation + `, ` + always + `}`},
		"of an http probe": {
			`{busyProbe: {mode: http, http: {}}, ` + shorthand + `}`,
			`{busyProbe: {mode: http, annotationKey: paia.tech/busy, http:
				{port: 8080, path: /busy, timeoutSeconds: 1, periodSeconds: 10, successIsBusy: true}}, ` + always + `}`,
		},
		"of an exec probe": {
			`{busyProbe: {mode: exec, exec: {}}, ` + shorthand + `}`,
			`{busyProbe: {mode: exec, annotationKey: paia.tech/busy, exec: {command: [cat, /tmp/healthy],
				timeoutSeconds: 1, periodSeconds: 10, successIsBusy: true, runner: Auto}}, ` + always + `}`,
		},
		"of a redis probe": {
			`{busyProbe: {mode: redis, redis: {address: "r:1", passwordSecretRef: {name: s}}}, ` + shorthand + `}`,
			`{busyProbe: {mode: redis, annotationKey: paia.tech/busy, redis: {address: "r:1", staleSeconds: 600,
				passwordSecretRef: {name: s, key: password}}}, ` + always + `}`,
		},
		"of standby": {
			`{assignment: Push, standby: {warmup: {command: [a]}}, ` + shorthand + `}`,
			`{` + annotation + `, standby: {warmup: {command: [a], timeoutSeconds: 300}, whenEmpty: ColdStart, startTimeoutSeconds: 30}, ` +
				strings.Replace(always, "assignment: Pull", "assignment: Push", 1) + `}`,
		},
		"of a rolling update": {
			`{updateStrategy: {rollingUpdate: {}}, ` + shorthand + `}`,
			`{` + annotation + `, ` + strings.Replace(always, "{type: RollingUpdate}",
				"{type: RollingUpdate, rollingUpdate: {maxUnavailable: 25%}}", 1) + `}`,
		},
		"in the place of null": {
			`{idleTarget: null, scaleDownDelaySeconds: null, layout: null, assignment: null, busyProbe: null, selector: null,
				updateStrategy: null, jobTemplate: {image: busybox, parallelism: null, template: null, completions: null}}`,
			`{` + annotation + `, ` + always + `}`,
		},
		"are none for minReplicas and maxReplicas, which may be null": {
			`{minReplicas: null, maxReplicas: 1, ` + shorthand + `}`,
			`{minReplicas: null, maxReplicas: 1, ` + annotation + `, ` + always + `}`,
		},
		"leave null as the exec probe's container": {
			`{maxReplicas: null, minReplicas: 9, busyProbe: {mode: exec, exec: {container: null, command: [a], runner: Kubelet,
				timeoutSeconds: 0, periodSeconds: 0, successIsBusy: false}}, ` + shorthand + `}`,
			`{maxReplicas: null, minReplicas: 9, busyProbe: {mode: exec, annotationKey: paia.tech/busy, exec: {container: null,
				command: [a], runner: Kubelet, timeoutSeconds: 0, periodSeconds: 0, successIsBusy: false}}, ` + always + `}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.dryRun(t, "x", tc.spec)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(object(t, tc.want).Object, got.Object["spec"]); diff != "" {
				t.Errorf("spec (-want +got):\n%s", diff)
			}
			// The operator reads it with its Go type.
			var pool v1alpha1.HotStandbyJob
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(got.Object, &pool); err != nil {
				t.Errorf("reading it as a HotStandbyJob: %v", err)
			}
		})
	}
}

func TestAPITyposAreRefused(t *testing.T) {
	s := newServer(t)
	manifest := func(spec string) string {
		return "{apiVersion: apps.paia.tech/v1alpha1, kind: HotStandbyJob, metadata: {name: x}, spec: " + spec + "}"
	}
	for name, tc := range map[string]struct{ spec, field string }{
		"in a container": {
			`{jobTemplate: {template: {spec: {containers: [{name: a, imagee: b}]}}}}`,
			"spec.jobTemplate.template.spec.containers[0].imagee",
		},
		"in the pod's spec": {
			`{jobTemplate: {template: {spec: {contaiers: [], containers: [{name: a, image: b}]}}}}`,
			"spec.jobTemplate.template.spec.contaiers",
		},
		"in the template's metadata": {
			`{jobTemplate: {template: {metadata: {label: {a: b}}, spec: {containers: [{name: a, image: b}]}}}}`,
			"spec.jobTemplate.template.metadata.label",
		},
		"in the Job":      {`{jobTemplate: {image: x, backofLimit: 1}}`, "spec.jobTemplate.backofLimit"},
		"in the pool":     {`{idleTargets: 1, ` + shorthand + `}`, "spec.idleTargets"},
		"in the probe":    {`{busyProbe: {mode: exec, exec: {comand: [a]}}, ` + shorthand + `}`, "spec.busyProbe.exec.comand"},
		"in the selector": {`{selector: {matchLabel: {}}, ` + shorthand + `}`, "spec.selector.matchLabel"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := s.apply(t, manifest(tc.spec)); err == nil || !strings.Contains(err.Error(), tc.field) {
				t.Errorf("kubectl apply said %v, want an error that names %s", err, tc.field)
			}
			if _, err := s.pools().Get(t.Context(), "x", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				t.Errorf("the pool is there in spite of the typo: %v", err)
			}
		})
	}
}

func TestAPITemplatesOfOtherToolsAreTaken(t *testing.T) {
	s := newServer(t)
	const template = `{jobTemplate: {template: {metadata: {creationTimestamp: null, name: a}, spec:
		{containers: [{name: a, image: b, resources: {limits: {cpu: 1, memory: 1.5Gi}}, ports: [{containerPort: 80}]}]}}}}`
	if _, err := s.dryRun(t, "x", template); err != nil {
		t.Errorf("a template as kubectl create --dry-run and helm write it was refused: %v", err)
	}
}

// One object that Go can't read would hide all pools from the operator.
func TestAPITakesNothingThatTheOperatorCannotRead(t *testing.T) {
	s := newServer(t)
	container := func(what string) string {
		return `{jobTemplate: {template: {spec: {containers: [{name: a, image: b, ` + what + `}]}}}}`
	}
	for name, tc := range map[string]struct{ spec, field string }{
		"a port over 32 bits": {container(`livenessProbe: {httpGet: {port: 99999999999}}`), "httpGet.port"},
		"no quantity at all":  {container(`resources: {limits: {cpu: 1GiB}}`), "limits"},
		"a quantity of 1e1.5": {container(`resources: {limits: {cpu: "1e1.5"}}`), "limits"},
		"a quantity of 1e999": {container(`resources: {limits: {cpu: "1e999999999"}}`), "limits"},
		"too many idle":       {`{idleTarget: 2147483648, ` + shorthand + `}`, "spec.idleTarget"},
		"a deadline over 64 bits": {
			`{jobTemplate: {image: x, activeDeadlineSeconds: 9223372036854775808}}`, "activeDeadlineSeconds",
		},
		"a time in small letters": {
			`{jobTemplate: {template: {metadata: {creationTimestamp: "2020-01-01t00:00:00z"}, spec: {containers: [{name: a}]}}}}`,
			"creationTimestamp",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.dryRun(t, "x", tc.spec)
			if found := causes(t, err); !has(found, tc.field) {
				t.Errorf("%s was refused because of %q, want field %q", tc.spec, found, tc.field)
			}
		})
	}
	s.create(t, "x", "{"+shorthand+"}")
	for when, accepted := range map[string]bool{"2026-01-02T03:04:05.678901Z": true, "2026-01-02T03:04:05Z": false} {
		_, err := s.pools().Patch(t.Context(), "x", types.MergePatchType,
			[]byte(`{"status":{"lastSyncTime":"`+when+`"}}`), metav1.PatchOptions{}, "status")
		if (err == nil) != accepted {
			t.Errorf("status.lastSyncTime %s is accepted: %v, want %v", when, err, accepted)
		}
	}
}

// rootSchema is the schema of a definition's only version.
func rootSchema(t *testing.T, crd *unstructured.Unstructured) map[string]any {
	t.Helper()
	versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
	if err != nil || len(versions) != 1 {
		t.Fatalf("the definition has the versions %v (%v), want one", versions, err)
	}
	root, found, err := unstructured.NestedMap(versions[0].(map[string]any), "schema", "openAPIV3Schema")
	if err != nil || !found {
		t.Fatalf("the definition has no schema: %v", err)
	}
	return root
}
