// SPDX-License-Identifier: Apache-2.0

// Command dashboard writes the Grafana dashboard of the chart. It is made with the types of Grafana itself, so that what it
// writes is a dashboard; which panels it has is in panels.go.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "dashboard:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("name one file: where the dashboard is written to")
	}
	text, err := text()
	if err != nil {
		return err
	}
	if err := os.WriteFile(args[0], text, 0o644); err != nil { //nolint:gosec // a file of the source tree, for all to read
		return fmt.Errorf("writing the dashboard: %w", err)
	}
	return nil
}

// text is the dashboard in JSON.
func text() ([]byte, error) {
	d, err := build()
	if err != nil {
		return nil, fmt.Errorf("building the dashboard: %w", err)
	}
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("building the dashboard: %w", err)
	}
	return append(text, '\n'), nil
}

// board is a dashboard as every Grafana in use reads it from a file.
type board = dashboard.Dashboard //nolint:staticcheck // its successor, version 2, is read by the newest Grafana only

// build lays the panels out, row by row.
func build() (board, error) {
	b := dashboard.NewDashboardBuilder("HotStandbyJob") //nolint:staticcheck // as above
	b.Uid("hotstandbyjob").
		Description("Pools of warm pods, the launches that start in them, and the operator that keeps them.").
		Tags([]string{"kubernetes", "jobs"}).
		Time("now-1h", "now").
		Refresh("30s").
		Timezone(common.TimeZoneBrowser).
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus")).
		WithVariable(labels("namespace", "Namespace", "label_values(hotstandbyjob_pool_idle_target, namespace)")).
		WithVariable(labels("pool", "Pool", `label_values(hotstandbyjob_pool_idle_target{namespace=~"$namespace"}, pool)`))
	id := uint32(0)
	for _, r := range rows() {
		id++
		b = b.WithRow(dashboard.NewRowBuilder(r.title).Id(id))
		for _, p := range r.panels {
			id++
			b = b.WithPanel(p.builder(id))
		}
	}
	return b.Build()
}

// labels is a variable with the values of a label, of which one, some or all are chosen.
func labels(name, label, query string) cog.Builder[dashboard.VariableModel] {
	return dashboard.NewQueryVariableBuilder(name).Label(label).
		Query(dashboard.StringOrMap{String: &query}).
		Datasource(source()).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
		Sort(dashboard.VariableSortAlphabeticalAsc).
		Multi(true).IncludeAll(true).AllValue(".*").
		Current(dashboard.VariableOption{Text: dashboard.StringOrArrayOfString{String: new("All")}, Value: dashboard.StringOrArrayOfString{String: new("$__all")}})
}

// source is the Prometheus that was chosen.
func source() common.DataSourceRef {
	return common.DataSourceRef{Type: new("prometheus"), Uid: new("${datasource}")}
}
