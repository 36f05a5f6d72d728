// SPDX-License-Identifier: Apache-2.0

// Package page shows a report as one HTML file that needs nothing else, so that it can be read where there is no network.
package page

import (
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"os"
	"strings"

	"github.com/paia-tech/hotstandbyjob/bench/internal/measure"
	"github.com/paia-tech/hotstandbyjob/bench/internal/result"
)

//go:embed page.gohtml
var text string

// Write writes the page of a report, beside that of the baseline, if there is one.
func Write(to io.Writer, r, baseline *result.Report) error { return write(to, "page", r, baseline) }

// Picture writes a page that has the latencies of one case only, to be made a picture of. False: the case has none.
func Picture(to io.Writer, c result.Case) (bool, error) {
	p := plotOf(c.Latencies)
	if p == nil {
		return false, nil
	}
	return true, write(to, "picture", p, nil)
}

func write(to io.Writer, name string, what any, baseline *result.Report) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"plot":    plotOf,
		"names":   names,
		"figure":  result.Figure,
		"ms":      func(v float64) string { return result.Figure(v, result.Count) },
		"gib":     func(bytes uint64) string { return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30)) },
		"join":    func(words []string) string { return strings.Join(words, " ") },
		"repeats": func(s measure.Spread) bool { return len(s.Runs) > 1 },
		"ratio":   ratioTo(baseline),
	}).Parse(text)
	if err != nil {
		return fmt.Errorf("read the page's template: %w", err)
	}
	if err := t.ExecuteTemplate(to, name, what); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// WriteFile writes the page to a file.
func WriteFile(path string, r, baseline *result.Report) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return errors.Join(Write(file, r, baseline), file.Close())
}

// names are the numbers of a case that its latencies don't show already.
func names(c result.Case) []string {
	var names []string
	for _, name := range result.Names(c.Numbers) {
		if _, shown := c.Latencies[strings.TrimSuffix(strings.TrimSuffix(name, " p50"), " p99")]; !shown {
			names = append(names, name)
		}
	}
	return names
}

// ratioTo returns a function that writes a number's ratio to that of the baseline, or nothing.
func ratioTo(baseline *result.Report) func(scenario, name, number string, s measure.Spread) string {
	return func(scenario, name, number string, s measure.Spread) string {
		if baseline == nil {
			return ""
		}
		one := &result.Report{Scenarios: []result.Scenario{{Name: scenario, Cases: []result.Case{{
			Name: name, Numbers: map[string]measure.Spread{number: s},
		}}}}}
		for _, d := range result.Compare(baseline, one) {
			if ratio, ok := d.Ratio(); ok {
				return fmt.Sprintf("%.2f", ratio)
			}
		}
		return ""
	}
}
