// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/paia-tech/hotstandbyjob/bench/internal/measure"
	"github.com/paia-tech/hotstandbyjob/bench/internal/result"
)

func TestParse(t *testing.T) {
	for name, tc := range map[string]struct {
		args  []string
		runs  int
		names []string // of the scenarios
		fault string
	}{
		"nothing":                 {nil, 3, names(), ""},
		"quick":                   {[]string{"-quick"}, 1, names(), ""},
		"quick, but more often":   {[]string{"-quick", "-runs=2"}, 2, names(), ""},
		"one scenario":            {[]string{"-scenario=burst"}, 3, []string{"burst"}, ""},
		"in the bench's order":    {[]string{"-scenario=burst,launch"}, 3, []string{"launch", "burst"}, ""},
		"make's empty variable":   {[]string{"-scenario", ""}, 3, names(), ""},
		"a scenario that is none": {[]string{"-scenario=burst,lunch"}, 0, nil, `no scenario "lunch"`},
		"whole, of none":          {[]string{"-quick", "-whole=scales"}, 0, nil, `no scenario "scales"`},
		"less than one run":       {[]string{"-runs=-1"}, 0, nil, "-runs is -1"},
		"an argument":             {[]string{"launch"}, 0, nil, `unexpected argument "launch"`},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := parse(tc.args)
			if tc.fault != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fault) {
					t.Fatalf("error is %v, want %q", err, tc.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			chosen, err := o.chosen()
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range chosen {
				got = append(got, s.Name)
			}
			if o.runs != tc.runs || !slices.Equal(got, tc.names) {
				t.Errorf("%d runs of %v, want %d of %v", o.runs, got, tc.runs, tc.names)
			}
		})
	}
}

func TestWhatIsMadeShort(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want []string
	}{
		"nothing":      {nil, nil},
		"all":          {[]string{"-quick"}, names()},
		"all but some": {[]string{"-quick", "-whole=scale,burst"}, slices.DeleteFunc(names(), func(n string) bool { return n == "scale" || n == "burst" })},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := parse(tc.args)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, name := range names() {
				if o.short(name) {
					got = append(got, name)
				}
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("%v are made short, want %v", got, tc.want)
			}
		})
	}
}

func TestCompareWarnsOfAnotherMachine(t *testing.T) {
	dir := t.TempDir()
	write := func(name, cpu string, writes float64) string {
		r := &measure.Run{}
		r.Count("writes", result.Each, writes)
		report := &result.Report{Scenarios: []result.Scenario{{Name: "burst", Cases: []result.Case{result.CaseOf("of 50", []*measure.Run{r})}}}}
		report.Machine.CPU = cpu
		path := filepath.Join(dir, name)
		if err := report.Write(path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var text strings.Builder
	if err := compare(&text, write("now", "slow", 4), write("baseline", "fast", 8)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`beware: the processor was "fast" and is "slow"`, "0.50 *"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
	if err := compare(&text, filepath.Join(dir, "now"), filepath.Join(dir, "none")); err == nil {
		t.Error("without a baseline there is no error")
	}
}
