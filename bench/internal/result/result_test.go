// SPDX-License-Identifier: Apache-2.0

package result

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/paia-tech/hotstandbyjob/bench/internal/machine"
	"github.com/paia-tech/hotstandbyjob/bench/internal/measure"
)

// report is one with a case of as many runs as there are writes, and one launch in each that takes as many milliseconds.
func report(writes ...float64) *Report {
	var runs []*measure.Run
	for _, n := range writes {
		r := &measure.Run{}
		r.Took("launch", time.Second, time.Duration(n)*time.Millisecond)
		r.Count("writes", Each, n)
		runs = append(runs, r)
	}
	return &Report{
		Time: time.Unix(1000, 0).UTC(), Command: []string{"bench", "run"}, Machine: machine.Machine{CPU: "fast", Cores: 2},
		Versions: map[string]string{"go": "1"},
		Scenarios: []Scenario{{
			Name: "burst", About: "many at once", Cases: []Case{CaseOf("of 50", runs, "a note")},
		}},
	}
}

func TestACaseHasTheMedianAndTheSpreadOfItsRuns(t *testing.T) {
	c := report(8, 2, 4).Scenarios[0].Cases[0]
	if diff := cmp.Diff(measure.Spread{Unit: Each, Median: 4, Low: 2, High: 8, Runs: []float64{8, 2, 4}}, c.Numbers["writes"]); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if p50 := c.Numbers["launch p50"]; p50.Unit != Milliseconds || p50.Median < 3.9 || p50.Median > 4.1 || len(p50.Runs) != 3 {
		t.Errorf("the median of the runs' medians is %+v", p50)
	}
	if l := c.Latencies["launch"]; l.Count != 3 {
		t.Errorf("the latency is of %d samples, want those of all runs", l.Count)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	r, path := report(8, 2), filepath.Join(t.TempDir(), "report.json")
	if err := r.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, got, cmpopts.IgnoreUnexported(Case{})); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a report that isn't there: %v", err)
	}
}

func TestSamplesAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "samples.csv.gz")
	if err := report(8, 2).WriteSamples(path); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	zip, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	want := "scenario,case,run,what,due_us,took_us\nburst,of 50,1,launch,1000000,8000\nburst,of 50,2,launch,1000000,2000\n"
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}

func TestCompare(t *testing.T) {
	for name, tc := range map[string]struct {
		before, after *Report
		ratio         float64
		clear         bool
	}{
		"nothing changed":     {report(4, 6), report(4, 6), 1, false},
		"twice as much":       {report(4, 6), report(9, 11), 2, true},
		"half, and clear":     {report(8, 12), report(4, 6), 0.5, true},
		"more, but by chance": {report(4, 6), report(5, 7), 1.2, false},
	} {
		t.Run(name, func(t *testing.T) {
			var writes Difference
			for _, d := range Compare(tc.before, tc.after) {
				if d.Number == "writes" {
					writes = d
				}
			}
			if ratio, ok := writes.Ratio(); !ok || ratio != tc.ratio || writes.Clear() != tc.clear {
				t.Errorf("ratio is %v, clear %v; want %v, %v", ratio, writes.Clear(), tc.ratio, tc.clear)
			}
		})
	}
	other := report(1)
	other.Scenarios[0].Name = "another"
	if d := Compare(other, report(1)); len(d) > 0 {
		t.Errorf("scenarios that aren't the same are compared: %v", d)
	}
}

func TestNothingHasNoRatio(t *testing.T) {
	d := Difference{After: measure.SpreadOf(Each, 1)}
	if ratio, ok := d.Ratio(); ok {
		t.Errorf("the ratio to 0 is %v", ratio)
	}
}

func TestTheTableMarksWhatIsClear(t *testing.T) {
	var text strings.Builder
	if err := WriteDifferences(&text, Compare(report(4, 6), report(9, 11))); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"writes", "5 each", "10 each", "2.00 *"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
}

func TestReportsOfDifferentMachinesAreToldApart(t *testing.T) {
	other := report(1)
	other.Machine.CPU, other.Versions = "slow", map[string]string{"go": "2"}
	want := []string{`the processor was "fast" and is "slow"`, `the version of go was "1" and is "2"`}
	if diff := cmp.Diff(want, Differ(report(1), other)); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	if reasons := Differ(report(1), report(2)); reasons != nil {
		t.Errorf("the same machine differs: %v", reasons)
	}
}

func TestFigure(t *testing.T) {
	for want, tc := range map[string]struct {
		value float64
		unit  measure.Unit
	}{
		"0": {0, Count}, "12.3 ms": {12.345, Milliseconds}, "0.00123 ×": {0.00123, Times}, "12346 1/s": {12345.6, PerSecond}, "999": {999, Count},
	} {
		if got := Figure(tc.value, tc.unit); got != want {
			t.Errorf("figure is %q, want %q", got, want)
		}
	}
}
