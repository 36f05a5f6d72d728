// SPDX-License-Identifier: Apache-2.0

package result

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/paia-tech/hotstandbyjob/bench/internal/measure"
)

func TestATargetIsHeldAgainstEachCase(t *testing.T) {
	numbers := func(writes, raw float64) *measure.Run {
		r := &measure.Run{}
		r.Count("writes", Each, writes)
		r.Count("raw", Each, raw)
		return r
	}
	of := func(name string, r *measure.Run) Case { return CaseOf(name, []*measure.Run{r}) }
	r := &Report{Scenarios: []Scenario{{Name: "burst", Cases: []Case{
		of("50", numbers(8, 4)), of("300", numbers(9, 2)), of("nothing", &measure.Run{}),
	}}}}
	target := Target{What: "writes for each", Scenario: "burst", Number: "writes", Bound: 8, Meanwhile: []string{"raw", "unknown"}, Tried: "less"}
	for name, tc := range map[string]struct {
		change func(*Target)
		want   []Outcome
	}{
		"at most": {func(*Target) {}, []Outcome{
			{What: "writes for each", Case: "50", Target: "≤ 8 each", Measured: "8 each", Met: true, Meanwhile: []string{"raw: 4 each"}},
			{What: "writes for each", Case: "300", Target: "≤ 8 each", Measured: "9 each", Meanwhile: []string{"raw: 2 each"}, Tried: "less"},
		}},
		"at least, of one case": {func(t *Target) { t.AtLeast, t.Cases, t.Meanwhile = true, []string{"300"}, nil }, []Outcome{
			{What: "writes for each", Case: "300", Target: "≥ 8 each", Measured: "9 each", Met: true},
		}},
		"beside a number of the same case": {func(t *Target) { t.Beside, t.Bound, t.Meanwhile = "raw", 2, nil }, []Outcome{
			{What: "writes for each", Case: "50", Target: "≤ 2 ×", Measured: "2 ×", Met: true},
			{What: "writes for each", Case: "300", Target: "≤ 2 ×", Measured: "4.5 ×", Tried: "less"},
		}},
		"beside one of another case": {func(t *Target) {
			t.Beside, t.BesideCase, t.Cases, t.Bound, t.Meanwhile = "raw", "50", []string{"300"}, 2, nil
		}, []Outcome{
			{What: "writes for each", Case: "300", Target: "≤ 2 ×", Measured: "2.25 ×", Tried: "less"},
		}},
		"beside one of a case that wasn't measured": {func(t *Target) { t.Beside, t.BesideCase = "raw", "1000" }, nil},
		"beside what wasn't measured":               {func(t *Target) { t.Beside = "unknown" }, nil},
		"of a scenario that wasn't measured":        {func(t *Target) { t.Scenario = "launch" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			changed := target
			tc.change(&changed)
			if diff := cmp.Diff(tc.want, r.Judge([]Target{changed})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
