// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"

	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/test/kit"
	"github.com/paia-tech/hotstandbyjob/test/tool"
)

// chartSpace is the namespace of the manifests, which the chart is rendered for, too.
const chartSpace = "hotstandbyjob-system"

// objects reads manifests, by kind and name.
func objects(t *testing.T, text string) map[string]*unstructured.Unstructured {
	t.Helper()
	found := map[string]*unstructured.Unstructured{}
	for document := range strings.SplitSeq("\n"+text, "\n---\n") {
		if o := object(t, document); len(o.Object) > 0 {
			found[o.GetKind()+" "+o.GetName()] = o
		}
	}
	return found
}

// withoutChart takes off an object what says that it is a chart's.
func withoutChart(o *unstructured.Unstructured) map[string]any {
	labels, annotations := o.GetLabels(), o.GetAnnotations()
	for _, key := range []string{
		"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart",
	} {
		delete(labels, key)
	}
	delete(annotations, "helm.sh/resource-policy")
	o.SetLabels(orNil(labels))
	o.SetAnnotations(orNil(annotations))
	return o.Object
}

// orNil is a map that isn't there when it is empty.
func orNil(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return m
}

func TestTheChartIsWhatTheManifestsAre(t *testing.T) {
	s := newServer(t)
	out, err := s.kubectl(t, "kustomize", filepath.Join(kit.Root(), "config", "default"))
	if err != nil {
		t.Fatal(err)
	}
	want, got := objects(t, out), objects(t, tool.Render(t, tool.Helm4, chartSpace))
	delete(want, "Namespace "+chartSpace)                     // helm makes it with --create-namespace
	delete(got, "PodDisruptionBudget hotstandbyjob-operator") // the chart alone has it
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Fatalf("objects (-manifests +chart):\n%s", diff)
	}
	for name := range want {
		if diff := cmp.Diff(withoutChart(want[name]), withoutChart(got[name])); diff != "" {
			t.Errorf("%s (-manifests +chart):\n%s", name, diff)
		}
	}
}

func TestTheServerTakesTheChart(t *testing.T) {
	s := newServer(t)
	for name, flags := range map[string][]string{
		"by default": nil, "without launches": {"--set", "push.enabled=false,replicas=1"},
		"without a page": {"--set", "ui.enabled=false"}, "without either": {"--set", "push.enabled=false,ui.enabled=false"},
		"with everything": {"--values", "charts/hotstandbyjob/ci/everything-values.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			found := objects(t, strings.ReplaceAll(tool.Render(t, tool.Helm4, chartSpace, flags...), chartSpace, s.namespace))
			for name, o := range found {
				text, err := o.MarshalJSON()
				if err != nil {
					t.Fatal(err)
				}
				file := filepath.Join(t.TempDir(), "object.json")
				if err := os.WriteFile(file, text, 0o600); err != nil {
					t.Fatal(err)
				}
				if _, err := s.kubectl(t, "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "--filename", file); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			var d appsv1.Deployment
			typed(t, found["Deployment hotstandbyjob-operator"], &d)
			c, all := parseArgs(t, d), name == "with everything"
			if c.ExecThroughAPIServer != all || c.RedisPasswordSecrets != all || c.Push.GatewayAnyAddress != all ||
				(c.Scaler == config.Scaler{Address: ":7445", ClientCA: "/keda/ca.crt"}) != all ||
				c.Push.Enabled == slices.Contains([]string{"without launches", "without either"}, name) {
				t.Errorf("the operator's configuration is %+v", c)
			}
			from := d.Spec.Template.Spec.Containers[0].EnvFrom
			if secret := from[len(from)-1].SecretRef; all != (secret.Name == "redis") || all == ptr.Deref(secret.Optional, false) {
				t.Errorf("the Secret of the operator's environment is %+v", secret)
			}
			noPage := slices.Contains([]string{"without a page", "without either"}, name)
			service, ok := found["Service hotstandbyjob-gateway"]
			if (c.UIAddress == "0") != noPage || ok != (c.Push.Enabled || !noPage) || ok && noPage == strings.Contains(fmt.Sprint(service.Object), "7444") {
				t.Errorf("the page is at %q, and the Service is %v", c.UIAddress, service)
			}
			if got := environmentOf(found); all != slices.Contains(got, "REDIS_PORT=6379") {
				t.Errorf("the operator's environment is %v", got)
			}
		})
	}
	m := objects(t, tool.Render(t, tool.Helm4, chartSpace, "--set", "serviceMonitor.enabled=true,serviceMonitor.labels.release=x"))["ServiceMonitor hotstandbyjob-operator"]
	if m == nil || m.GetLabels()["release"] != "x" { // its definition isn't there to hold it against
		t.Errorf("the ServiceMonitor is %v", m)
	}
}

// environmentOf is what the operator gets of the chart's ConfigMap.
func environmentOf(found map[string]*unstructured.Unstructured) (environment []string) {
	if o, ok := found["ConfigMap hotstandbyjob-operator-config"]; ok {
		data, _, _ := unstructured.NestedStringMap(o.Object, "data")
		for name, value := range data {
			environment = append(environment, name+"="+value)
		}
	}
	return environment
}
