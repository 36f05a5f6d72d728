// SPDX-License-Identifier: Apache-2.0

package page

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paia-tech/hotstandbyjob/bench/internal/machine"
	"github.com/paia-tech/hotstandbyjob/bench/internal/measure"
	"github.com/paia-tech/hotstandbyjob/bench/internal/result"
)

func report(writes float64) *result.Report {
	r := &measure.Run{}
	for i := range 100 {
		r.Took("warm <b>", 0, time.Duration(i+1)*time.Millisecond)
		r.Took("cold", 0, time.Duration(i+1)*10*time.Millisecond)
	}
	r.Count("writes", result.Each, writes)
	return &result.Report{
		Command: []string{"bench", "run"}, Machine: machine.Machine{CPU: "A CPU", Cores: 2, Memory: 3 << 29},
		Versions: map[string]string{"kubernetes": "v1.37.1"},
		Targets: []result.Outcome{
			{What: "fast", Case: "of 50", Target: "≤ 5 ms", Measured: "6 ms", Meanwhile: []string{"busy: 99 %"}, Tried: "to rest"},
			{What: "small", Case: "of 50", Target: "≤ 7 MiB", Measured: "3 MiB", Met: true, Meanwhile: []string{"heap: 2 MiB"}},
		},
		Scenarios: []result.Scenario{{Name: "burst", About: "many at once", Cases: []result.Case{
			result.CaseOf("of 50", []*measure.Run{r}, "a note"), result.CaseOf("without latencies", nil),
		}}},
	}
}

func TestThePageSaysAllOfTheReport(t *testing.T) {
	var text strings.Builder
	if err := Write(&text, report(8), report(4)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"A CPU, 2 cores, 1.5 GiB", "v1.37.1", "many at once", "a note", "<td>8 each</td>", "<td>2.00</td>", "<td>cold</td>", "warm &lt;b&gt;",
		"fast<br><span class=\"low\">busy: 99 %</span><br><span class=\"low\">Tried: to rest.</span>", "<strong>missed</strong>", "<td>small</td>", "<td>met</td>", "<polyline", "<td>100</td>", "prefers-color-scheme: dark", fmt.Sprintf(".l%d {", colours), fmt.Sprintf("--c%d:", colours),
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in the page", want)
		}
	}
	// What a latency's table shows is not told again as a number.
	if strings.Contains(text.String(), "cold p50") {
		t.Error("the page has the latency's percentiles twice")
	}
	if found := regexp.MustCompile(`(src|href|url\()\s*=?\s*["']?(https?:)?//`).FindString(text.String()); found != "" {
		t.Errorf("the page needs something else: %q", found)
	}
	if _, drawing, _ := strings.Cut(text.String(), "<svg"); !wellFormed("<svg" + drawing[:strings.Index(drawing, "</svg>")+6]) {
		t.Error("the plot isn't well-formed")
	}
}

func wellFormed(text string) bool {
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

func TestThePageOfAReportWithoutABaseline(t *testing.T) {
	var text strings.Builder
	if err := Write(&text, report(8), nil); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "<td>8 each</td><td></td><td></td><td></td>") {
		t.Errorf("the number is compared with something:\n%s", text.String())
	}
}

func TestPlotOf(t *testing.T) {
	p := plotOf(map[string]measure.Latency{"a": {Curve: []float64{2, 20}}, "b": {}})
	var texts []string
	for _, m := range p.Y {
		texts = append(texts, m.Text)
		if m.At < p.Top-0.01 || m.At > p.Bottom+0.01 {
			t.Errorf("the mark %s is at %.1f, out of the plot", m.Text, m.At)
		}
	}
	if diff := cmp.Diff([]string{"1 ms", "10 ms", "100 ms"}, texts); diff != "" {
		t.Errorf("marks (-want +got):\n%s", diff)
	}
	if len(p.Lines) != 1 || p.Lines[0].Name != "a" {
		t.Errorf("lines are %+v, want that of a alone", p.Lines)
	}
	for name, latencies := range map[string]map[string]measure.Latency{"no latency": nil, "no sample": {"a": {}}} {
		if plotOf(latencies) != nil {
			t.Errorf("%s: there is a plot", name)
		}
	}
	if flat := plotOf(map[string]measure.Latency{"a": {Curve: []float64{10, 10}}}); len(flat.Y) != 2 {
		t.Errorf("what is always the same has marks %+v", flat.Y)
	}
}

func TestPercentilesGrowToTheRight(t *testing.T) {
	last := 0.0
	for _, percent := range measure.Percents() {
		if at := x(percent); at <= last || at > width-right {
			t.Errorf("%v %% is at %.1f, after %.1f", percent, at, last)
		} else {
			last = at
		}
	}
}

func TestAPictureIsOfOneCase(t *testing.T) {
	cases := report(1).Scenarios[0].Cases
	var text strings.Builder
	if some, err := Picture(&text, cases[0]); !some || err != nil {
		t.Fatalf("there is a picture: %v, %v", some, err)
	}
	for _, want := range []string{"<polyline", "warm &lt;b&gt;", "<style>"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in the picture", want)
		}
	}
	if strings.Contains(text.String(), "<table") {
		t.Error("the picture has a table")
	}
	if some, err := Picture(&text, cases[1]); some || err != nil {
		t.Errorf("there is a picture of nothing: %v, %v", some, err)
	}
}
