// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func TestTheChartsDashboardIsCurrentAndADashboard(t *testing.T) {
	want, err := text()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../charts/hotstandbyjob/files/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("the chart's dashboard is not current: run `make generate`")
	}
	plugins.RegisterDefaultPlugins()
	var d board
	if err := d.UnmarshalJSONStrict(got); err != nil && err.Error() != "" { // no faults are an error, too, but an empty one
		t.Fatalf("Grafana doesn't know all of it: %v", err)
	}
	if err := d.Validate(); err != nil {
		t.Errorf("Grafana would refuse it: %v", err)
	}
}

func TestPanelsHaveTheirPlace(t *testing.T) {
	d, err := build()
	if err != nil {
		t.Fatal(err)
	}
	ids, taken := map[uint32]bool{}, map[[2]uint32]string{}
	place := func(id uint32, title string, at *dashboard.GridPos) {
		if ids[id] {
			t.Errorf("%s: the id %d is another's, too", title, id)
		}
		ids[id] = true
		for x := at.X; x < at.X+at.W; x++ {
			for y := at.Y; y < at.Y+at.H; y++ {
				if other, ok := taken[[2]uint32{x, y}]; ok || x >= 24 {
					t.Fatalf("%s is where %s is, or too wide: %+v", title, other, at)
				}
				taken[[2]uint32{x, y}] = title
			}
		}
	}
	for _, p := range d.Panels {
		if r := p.RowPanel; r != nil {
			place(r.Id, *r.Title, r.GridPos)
			continue
		}
		place(*p.Panel.Id, *p.Panel.Title, p.Panel.GridPos)
		if len(p.Panel.Targets) == 0 || p.Panel.Datasource == nil || *p.Panel.Datasource.Uid != "${datasource}" {
			t.Errorf("%s asks nobody", *p.Panel.Title)
		}
	}
}
