// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/paia-tech/hotstandbyjob/bench/internal/result"
	"github.com/paia-tech/hotstandbyjob/bench/internal/scenario"
	"github.com/paia-tech/hotstandbyjob/bench/internal/table"
)

// The README says what the committed baseline says.
func TestTheREADMEHasTheTableOfTheBaseline(t *testing.T) {
	path := filepath.Join("..", "README.md")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(copied, before, 0o600); err != nil {
		t.Fatal(err)
	}
	baseline, err := result.Read("baseline.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := writeTable(copied, baseline); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(before), string(after)); diff != "" {
		t.Errorf("run `go run ./bench -readme` and commit what it writes (-README +baseline):\n%s", diff)
	}
}

// Rows name cases: one that has another name than the scenario gives it would be left out in silence.
func TestTheBaselineHasEachRowOfTheTable(t *testing.T) {
	baseline, err := result.Read("baseline.json")
	if err != nil {
		t.Fatal(err)
	}
	empty := table.Markdown(baseline, nil)
	for _, s := range scenario.Rows() {
		for _, row := range s.Rows {
			if table.Markdown(baseline, []table.Scenario{{Name: s.Name, Rows: []table.Row{row}}}) == empty {
				t.Errorf("%s has no row %q", s.Name, row.What)
			}
		}
	}
}
