// SPDX-License-Identifier: Apache-2.0

// Package table writes the table of the README, and the sentence that says where its numbers come from, from a report.
package table

import (
	"errors"
	"fmt"
	"strings"

	"github.com/paia-tech/hotstandbyjob/bench/internal/measure"
	"github.com/paia-tech/hotstandbyjob/bench/internal/result"
)

// Number is a number of a report.
type Number struct {
	// Case is the case's name; empty: each case of the scenario.
	Case string
	// Name is the number's in its case.
	Name string
}

// Row is what a scenario says in the table.
type Row struct {
	// What is measured, in words. The case's name is added where each case has a row.
	What   string
	Number Number
	// Than is what it is compared with, in words; empty: nothing. Its Case may be empty where both are of the same.
	Than   string
	Beside Number
}

// Scenario is the rows of one scenario.
type Scenario struct {
	Name string
	Rows []Row
}

// Markdown writes the table. What the report has not got has no row: not all scenarios may have been measured.
func Markdown(r *result.Report, scenarios []Scenario) string {
	var text strings.Builder
	text.WriteString("| what | measured | beside it, in the same run | ratio | command |\n| --- | --- | --- | --- | --- |\n")
	for _, s := range scenarios {
		cases := r.Cases(s.Name)
		for _, c := range cases {
			for _, row := range s.Rows {
				if line, ok := row.line(s.Name, c, cases); ok {
					text.WriteString(line)
				}
			}
		}
	}
	fmt.Fprintf(&text, "\nMeasured %s with Kubernetes %s on %d cores of %s, which control plane, nodes, load and operator shared.\n",
		r.Time.Format("2006-01-02"), r.Versions["kubernetes"], r.Machine.Cores, r.Machine.CPU)
	return text.String()
}

// line is the row of a case.
func (row Row) line(scenario string, c result.Case, all []result.Case) (string, bool) {
	if row.Number.Case != "" && row.Number.Case != c.Name {
		return "", false
	}
	number, ok := c.Numbers[row.Number.Name]
	if !ok {
		return "", false
	}
	what := row.What
	if row.Number.Case == "" {
		what += ", " + c.Name
	}
	beside, ratio := "", ""
	if than, ok := row.beside(c, all); ok {
		beside = row.Than + ": " + figures(than)
		ratio = times(number.Median, than.Median)
	}
	return fmt.Sprintf("| %s | %s | %s | %s | `make bench SCENARIO=%s` |\n", what, figures(number), beside, ratio, scenario), true
}

// times is how much a number is of another one, the other way round where that is more than a few times.
func times(n, than float64) string {
	switch {
	case than <= 0:
		return ""
	case n > 0 && than > 3*n:
		return "1 / " + result.Figure(than/n, result.Count)
	default:
		return result.Figure(n/than, result.Times)
	}
}

// beside is what a number is compared with.
func (row Row) beside(c result.Case, all []result.Case) (measure.Spread, bool) {
	if row.Than == "" {
		return measure.Spread{}, false
	}
	if row.Beside.Case != "" {
		for _, other := range all {
			if other.Name == row.Beside.Case {
				c = other
			}
		}
		if c.Name != row.Beside.Case {
			return measure.Spread{}, false
		}
	}
	than, ok := c.Numbers[row.Beside.Name]
	return than, ok
}

// figures are a number, with the lowest and the highest of its runs where there are several.
func figures(s measure.Spread) string {
	text := result.Figure(s.Median, s.Unit)
	if len(s.Runs) > 1 {
		text += fmt.Sprintf(" (%s to %s)", result.Figure(s.Low, result.Count), result.Figure(s.High, result.Count))
	}
	return text
}

// The lines of a document that the table stands between.
const (
	Begin = "<!-- begin: go run ./bench -readme -->"
	End   = "<!-- end -->"
)

// errNoPlace is what a document lacks.
var errNoPlace = errors.New("there is no line " + Begin + " with a line " + End + " after it")

// Replace puts a text in its place in a document.
func Replace(document, text string) (string, error) {
	before, rest, found := strings.Cut(document, Begin+"\n")
	_, after, ended := strings.Cut(rest, End)
	if !found || !ended {
		return "", errNoPlace
	}
	return before + Begin + "\n" + text + End + after, nil
}
