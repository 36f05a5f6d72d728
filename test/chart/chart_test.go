// SPDX-License-Identifier: Apache-2.0

// Package chart tests what the chart makes without a cluster: with both versions of Helm, and its rules and its dashboard
// with a real Prometheus.
package chart

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/paia-tech/hotstandbyjob/test/tool"
)

// bothHelms runs a test with each of them.
func bothHelms(t *testing.T, test func(t *testing.T, version string)) {
	t.Helper()
	for _, version := range []string{tool.Helm4, tool.Helm3} {
		t.Run(version, func(t *testing.T) { test(t, version) })
	}
}

// objects reads what Helm has made, by kind and name: the two put kinds that they don't know at different places.
func objects(t *testing.T, text string) map[string]any {
	t.Helper()
	all := map[string]any{}
	for document := range strings.SplitSeq("\n"+text, "\n---\n") {
		var o struct {
			Kind     string
			Metadata struct{ Name string }
		}
		var whole map[string]any
		if err := errors.Join(yaml.Unmarshal([]byte(document), &o), yaml.Unmarshal([]byte(document), &whole)); err != nil {
			t.Fatalf("%v: %s", err, document)
		}
		if len(whole) > 0 {
			all[o.Kind+" "+o.Metadata.Name] = whole
		}
	}
	return all
}

func TestBothHelmsMakeTheSame(t *testing.T) {
	for name, flags := range map[string][]string{
		"by default": nil, "with everything": {
			"--values", "charts/hotstandbyjob/ci/everything-values.yaml", "--set", "serviceMonitor.enabled=true,prometheusRule.enabled=true",
		},
	} {
		t.Run(name, func(t *testing.T) {
			four := objects(t, tool.Render(t, tool.Helm4, "ns", flags...))
			if diff := cmp.Diff(objects(t, tool.Render(t, tool.Helm3, "ns", flags...)), four); diff != "" {
				t.Errorf("what the chart makes (-helm3 +helm4):\n%s", diff)
			}
		})
	}
}

func TestTheChartRefusesWhatItDoesNotKnow(t *testing.T) {
	bothHelms(t, func(t *testing.T, version string) {
		if out, err := tool.Helm(t, version, "lint", "--strict", "charts/hotstandbyjob"); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		for value, field := range map[string]string{
			`replica=3`:                                          "'replica'",
			`push={"gateway":{"url":"http://a:1"}}`:              "/push/gateway/url",
			`image={"digest":"latest"}`:                          "/image/digest",
			`config={"REDIS_HOST":["a"]}`:                        "/config/REDIS_HOST",
			`extraArgs=["v"]`:                                    "/extraArgs/0",
			`serviceMonitor={"interval":"half an hour"}`:         "/serviceMonitor/interval",
			`prometheusRule={"thresholds":{"hitRatio":90}}`:      "/prometheusRule/thresholds/hitRatio",
			`prometheusRule={"for":{"poolFull":"1m"}}`:           "'poolFull'",
			`kedaScaler={"clientCASecret":1}`:                    "/kedaScaler/clientCASecret",
			`kedaScaler={"enabled":true},push={"enabled":false}`: "it must be false with push/enabled=false",
		} {
			_, err := tool.Helm(t, version, "template", "x", "charts/hotstandbyjob", "--kube-version", "1.37.0", "--set-json", value)
			if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), ".", "/"), field) {
				t.Errorf("%s: %v; want an error that says %s", value, err, field)
			}
		}
	})
}
