// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// kind is how a panel shows its series.
type kind int

const (
	lines kind = iota
	stacked
	number
	buckets
)

// row is a row of panels with a title.
type row struct {
	title  string
	panels []panel
}

// panel is a panel of the dashboard.
type panel struct {
	title       string
	description string
	kind        kind
	unit        string
	queries     []query
}

// query is a query of Prometheus; its series are called as legend says.
type query struct {
	expr   string
	legend string
}

// The dashboard is 24 units wide.
const (
	statWidth, statHeight   = 4, 4
	graphWidth, graphHeight = 8, 8
)

// builder is the panel as Grafana has it.
func (p panel) builder(id uint32) cog.Builder[dashboard.Panel] {
	switch p.kind {
	case number:
		return stat.NewPanelBuilder().Id(id).Title(p.title).Description(p.description).Datasource(source()).Targets(p.targets()).
			Span(statWidth).Height(statHeight).Unit(p.unit).NoValue("–").
			ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}))
	case buckets:
		return heatmap.NewPanelBuilder().Id(id).Title(p.title).Description(p.description).Datasource(source()).Targets(p.targets()).
			Span(graphWidth).Height(graphHeight).
			YAxis(heatmap.NewYAxisConfigBuilder().Unit(p.unit)).
			Color(heatmap.NewHeatmapColorOptionsBuilder().Mode(heatmap.HeatmapColorModeScheme).Scheme("Oranges").Steps(64))
	case lines, stacked:
	}
	b := timeseries.NewPanelBuilder().Id(id).Title(p.title).Description(p.description).Datasource(source()).Targets(p.targets()).
		Span(graphWidth).Height(graphHeight).Unit(p.unit).Min(0).
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	if p.kind == stacked {
		b = b.FillOpacity(30).Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal))
	}
	return b
}

func (p panel) targets() (targets []cog.Builder[variants.Dataquery]) {
	for i, q := range p.queries {
		b := prometheus.NewDataqueryBuilder().Datasource(source()).RefId(string(rune('A' + i))).Expr(q.expr).LegendFormat(q.legend).Range()
		if p.kind == buckets {
			b = b.Format(prometheus.PromQueryFormatHeatmap)
		}
		targets = append(targets, b)
	}
	return targets
}
