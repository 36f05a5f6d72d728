// SPDX-License-Identifier: Apache-2.0

package tool

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Dashboard is what the chart's dashboard asks of Prometheus.
type Dashboard struct {
	// Panels have the queries of each panel, by its row and title, for all namespaces and pools.
	Panels map[string][]string
	// Variables have a selector and a label each, whose values can be chosen.
	Variables map[string][2]string
}

// ReadDashboard reads the chart's, with rates over an interval.
func ReadDashboard(t testing.TB, interval string) Dashboard {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Root(), "charts", "hotstandbyjob", "files", "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Type, Title string
			Targets     []struct{ Expr string }
		}
		Templating struct {
			List []struct {
				Name, Type string
				Query      any
			}
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("$__rate_interval", interval, "$namespace", ".*", "$pool", ".*")
	found := Dashboard{Panels: map[string][]string{}, Variables: map[string][2]string{}}
	row := ""
	for _, p := range d.Panels {
		if p.Type == "row" {
			row = p.Title
		}
		for _, q := range p.Targets {
			found.Panels[row+": "+p.Title] = append(found.Panels[row+": "+p.Title], fill.Replace(q.Expr))
		}
	}
	for _, v := range d.Templating.List {
		if query, ok := v.Query.(string); ok && v.Type == "query" {
			arguments := strings.TrimSuffix(strings.TrimPrefix(fill.Replace(query), "label_values("), ")")
			comma := strings.LastIndex(arguments, ",")
			found.Variables[v.Name] = [2]string{arguments[:comma], strings.TrimSpace(arguments[comma+1:])}
		}
	}
	return found
}
