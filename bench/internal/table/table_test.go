// SPDX-License-Identifier: Apache-2.0

package table

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paia-tech/hotstandbyjob/bench/internal/machine"
	"github.com/paia-tech/hotstandbyjob/bench/internal/measure"
	"github.com/paia-tech/hotstandbyjob/bench/internal/result"
)

// caseOf has a number for each run.
func caseOf(name string, numbers map[string][]float64) result.Case {
	c := result.Case{Name: name, Numbers: map[string]measure.Spread{}}
	for what, runs := range numbers {
		c.Numbers[what] = measure.SpreadOf(result.Milliseconds, runs...)
	}
	return c
}

func report() *result.Report {
	return &result.Report{
		Time:    time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC),
		Machine: machine.Machine{CPU: "a processor", Cores: 2}, Versions: map[string]string{"kubernetes": "v1.2.3"},
		Scenarios: []result.Scenario{
			{Name: "burst", Cases: []result.Case{
				caseOf("50 launches", map[string][]float64{"all": {30, 10, 20}, "raw": {10}}),
				caseOf("300 launches", map[string][]float64{"all": {100}, "raw": {500}}),
			}},
			{Name: "finished", Cases: []result.Case{
				caseOf("ours", map[string][]float64{"a second": {20}}), caseOf("the cluster's", map[string][]float64{"a second": {2}}),
			}},
		},
	}
}

func TestMarkdown(t *testing.T) {
	got := Markdown(report(), []Scenario{
		{"launch", []Row{{What: "one", Number: Number{Name: "took"}}}}, // wasn't measured
		{"burst", []Row{
			{What: "all at once", Number: Number{Name: "all"}, Than: "raw writes", Beside: Number{Name: "raw"}},
			{What: "nobody's", Number: Number{Name: "nothing"}},
		}},
		{"finished", []Row{
			{"Jobs", Number{"ours", "a second"}, "the cluster's", Number{"the cluster's", "a second"}},
			{"Jobs", Number{"ours", "a second"}, "nobody's", Number{"nobody's", "a second"}},
		}},
	})
	want := `| what | measured | beside it, in the same run | ratio | command |
| --- | --- | --- | --- | --- |
| all at once, 50 launches | 20 ms (10 to 30) | raw writes: 10 ms | 2 × | ` + "`make bench SCENARIO=burst`" + ` |
| all at once, 300 launches | 100 ms | raw writes: 500 ms | 1 / 5 | ` + "`make bench SCENARIO=burst`" + ` |
| Jobs | 20 ms | the cluster's: 2 ms | 10 × | ` + "`make bench SCENARIO=finished`" + ` |
| Jobs | 20 ms |  |  | ` + "`make bench SCENARIO=finished`" + ` |

Measured 2026-11-26 with Kubernetes v1.2.3 on 2 cores of a processor, which control plane, nodes, load and operator shared.
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReplace(t *testing.T) {
	document := "# Title\n\n" + Begin + "\nold\n" + End + "\n\nmore\n"
	once, err := Replace(document, "new\n")
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(document, "old", "new", 1); once != want {
		t.Errorf("the document is %q, want %q", once, want)
	}
	if twice, err := Replace(once, "new\n"); err != nil || twice != once {
		t.Errorf("again it is %q, %v", twice, err)
	}
	for name, document := range map[string]string{"no place": "# Title\n", "no end": Begin + "\n", "an end before it": End + Begin + "\n"} {
		if _, err := Replace(document, "new\n"); err == nil {
			t.Errorf("%s: there is no error", name)
		}
	}
}
