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
