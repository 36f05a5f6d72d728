// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"slices"
	"testing"
)

func TestTargetsAreForScenariosThatThereAre(t *testing.T) {
	for _, target := range Targets() {
		if !slices.ContainsFunc(All(), func(s Scenario) bool { return s.Name == target.Scenario }) {
			t.Errorf("%s: there is no scenario %q", target.What, target.Scenario)
		}
	}
}

func TestEachRowOfTheTableHasSomethingBesideIt(t *testing.T) {
	for _, s := range Rows() {
		for _, row := range s.Rows {
			if row.Than == "" || row.Beside.Name == "" {
				t.Errorf("%s, %s: there is nothing beside it", s.Name, row.What)
			}
		}
	}
}
