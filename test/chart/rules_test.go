// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/paia-tech/hotstandbyjob/test/tool"
)

// rule is a rule of Prometheus.
type rule struct {
	Record      string            `json:"record,omitempty"`
	Alert       string            `json:"alert,omitempty"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// rules is a file of rules.
type rules struct {
	Groups []struct {
		Name  string `json:"name"`
		Rules []rule `json:"rules"`
	} `json:"groups"`
}

// alerts are the rules that alert.
func (r rules) alerts() (alerts []rule) {
	for _, g := range r.Groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				alerts = append(alerts, r)
			}
		}
	}
	return alerts
}

// rendered are the rules of the chart with some values.
func rendered(t *testing.T, flags ...string) (r rules) {
	t.Helper()
	out := tool.Render(t, tool.Helm4, "hotstandbyjob-system", append([]string{"--set", "prometheusRule.enabled=true"}, flags...)...)
	var o struct {
		Spec rules `json:"spec"`
	}
	for document := range strings.SplitSeq(out, "\n---\n") {
		if strings.Contains(document, "\nkind: PrometheusRule\n") {
			if err := yaml.Unmarshal([]byte(document), &o); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(o.Spec.alerts()) == 0 {
		t.Fatalf("the chart has no alerts:\n%s", out)
	}
	return o.Spec
}

// write writes something as YAML, and says where.
func write(t *testing.T, dir, name string, what any) string {
	t.Helper()
	text, err := yaml.Marshal(what)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// promtool checks something, or the test fails.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Skip("promtool is not installed: it is part of Debian's package prometheus")
	}
	if out, err := tool.Output(exec.CommandContext(t.Context(), "promtool", args...)); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestPrometheusTakesTheRules(t *testing.T) {
	for name, flags := range map[string][]string{
		"by default": nil,
		"with other values": {
			"--set", "prometheusRule.thresholds.hitRatio=1,prometheusRule.thresholds.consecutiveFailures=1000000",
			"--set", "prometheusRule.for.hitRatioLow=1h,prometheusRule.severity.poolEmpty=page,prometheusRule.runbook=https://example.com",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := rendered(t, flags...)
			file := write(t, t.TempDir(), "rules.yaml", r)
			promtool(t, "check", "rules", file)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), "${") {
				t.Errorf("a value is missing in the chart:\n%s", text)
			}
			if name != "by default" && (!strings.Contains(string(text), "< 1\n") || !strings.Contains(string(text), "for: 1h") || !strings.Contains(string(text), "severity: page")) {
				t.Errorf("values were not taken:\n%s", text)
			}
		})
	}
}

// variable is what an annotation is filled in with.
var variable = regexp.MustCompile(`\{\{.*?(\$[a-z.]+).*?\}\}`)

// Whoever gets an alert is told where, and what to do, and the documentation has a line on it.
func TestAlertsSayWhatToDo(t *testing.T) {
	docs, err := os.ReadFile(filepath.Join(tool.Root(), "docs", "operating.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rendered(t).alerts() {
		summary, description, runbook := r.Annotations["summary"], r.Annotations["description"], r.Annotations["runbook_url"]
		if summary == "" || description == "" || !strings.Contains(runbook, "docs/operating.md#") || r.Labels["severity"] == "" || r.For == "" {
			t.Errorf("alert %s is %+v", r.Alert, r)
		}
		ofPool := strings.Contains(r.Expr, "by (namespace, pool") || strings.Contains(r.Expr, "hit_ratio")
		for _, text := range []string{summary, description} {
			if ofPool && !strings.Contains(text, "{{ $labels.pool }}") {
				t.Errorf("alert %s doesn't name the pool: %s", r.Alert, text)
			}
			for _, found := range variable.FindAllStringSubmatch(text, -1) {
				known := found[1] == "$value" || found[1] == "$labels.mode" && strings.Contains(r.Expr, "by (mode)") ||
					ofPool && (found[1] == "$labels.pool" || found[1] == "$labels.namespace")
				if !known {
					t.Errorf("alert %s has no %s", r.Alert, found[1])
				}
			}
		}
		if !strings.Contains(string(docs), "| `"+r.Alert+"` |") {
			t.Errorf("docs/operating.md has no line on alert %s", r.Alert)
		}
	}
}

func TestAlertsFireWhereTheyShould(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	r := rendered(t)
	for _, g := range r.Groups {
		for i := range g.Rules {
			if summary, ok := g.Rules[i].Annotations["summary"]; ok {
				g.Rules[i].Annotations = map[string]string{"summary": summary}
			}
		}
	}
	dir := t.TempDir()
	write(t, dir, "rules.yaml", r)
	file := filepath.Join(dir, "alerts.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "test", "rules", file)

	var cases struct {
		Tests []struct {
			Alerts []struct {
				Name string `json:"alertname"`
				Want []any  `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		} `json:"tests"`
	}
	if err := yaml.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, c := range cases.Tests {
		for _, a := range c.Alerts {
			fires[a.Name] = fires[a.Name] || len(a.Want) > 0
			quiet[a.Name] = quiet[a.Name] || len(a.Want) == 0
		}
	}
	for _, a := range r.alerts() {
		if !fires[a.Alert] || !quiet[a.Alert] {
			t.Errorf("alert %s is not tested: fires %v, does not fire %v", a.Alert, fires[a.Alert], quiet[a.Alert])
		}
	}
}
