// SPDX-License-Identifier: Apache-2.0

package result

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/paia-tech/hotstandbyjob/bench/internal/measure"
)

// Difference is one number in two reports.
type Difference struct {
	Scenario, Case, Number string
	Before, After          measure.Spread
}

// Ratio is how many times the number it was before it is now; false if it was nothing.
func (d Difference) Ratio() (float64, bool) {
	if d.Before.Median == 0 {
		return 0, false
	}
	return d.After.Median / d.Before.Median, true
}

// Clear says whether the runs of one report are all above those of the other: where they overlap, a difference may be
// chance.
func (d Difference) Clear() bool { return d.After.Low > d.Before.High || d.After.High < d.Before.Low }

// Compare is all numbers that both reports have, in the order of the later one.
func Compare(before, after *Report) []Difference {
	was := map[[3]string]measure.Spread{}
	for _, s := range before.Scenarios {
		for _, c := range s.Cases {
			for name, n := range c.Numbers {
				was[[3]string{s.Name, c.Name, name}] = n
			}
		}
	}
	var differences []Difference
	for _, s := range after.Scenarios {
		for _, c := range s.Cases {
			for _, name := range Names(c.Numbers) {
				if b, ok := was[[3]string{s.Name, c.Name, name}]; ok {
					differences = append(differences, Difference{Scenario: s.Name, Case: c.Name, Number: name, Before: b, After: c.Numbers[name]})
				}
			}
		}
	}
	return differences
}

// Differ says what makes two reports hard to compare: ratios between them then tell of that, too.
func Differ(before, after *Report) []string {
	var reasons []string
	differ := func(what, was, is string) {
		if was != is {
			reasons = append(reasons, fmt.Sprintf("%s was %q and is %q", what, was, is))
		}
	}
	differ("the processor", before.Machine.CPU, after.Machine.CPU)
	differ("the number of cores", fmt.Sprint(before.Machine.Cores), fmt.Sprint(after.Machine.Cores))
	differ("the kernel", before.Machine.Kernel, after.Machine.Kernel)
	for _, name := range []string{"go", "kubernetes"} {
		differ("the version of "+name, before.Versions[name], after.Versions[name])
	}
	return reasons
}

// WriteDifferences writes a table. A star marks what is clear.
func WriteDifferences(to io.Writer, differences []Difference) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	row := func(cells ...any) { _, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", cells...) } // Flush has the error
	row("scenario", "case", "number", "before", "after", "ratio")
	for _, d := range differences {
		text := "-"
		if ratio, ok := d.Ratio(); ok {
			text = fmt.Sprintf("%.2f", ratio)
		}
		if d.Clear() {
			text += " *"
		}
		row(d.Scenario, d.Case, d.Number, Figure(d.Before.Median, d.Before.Unit), Figure(d.After.Median, d.After.Unit), text)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write the comparison: %w", err)
	}
	return nil
}

// Figure writes a number with three digits and its unit.
func Figure(value float64, unit measure.Unit) string {
	text := fmt.Sprintf("%.3g", value)
	if value >= 1000 || value <= -1000 { // never as 1.2e+04
		text = fmt.Sprintf("%.0f", value)
	}
	if unit == Count {
		return text
	}
	return text + " " + string(unit)
}

// WriteSummary writes the numbers of a report as a table.
func WriteSummary(to io.Writer, r *Report) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, s := range r.Scenarios {
		for _, c := range s.Cases {
			_, _ = fmt.Fprintf(w, "\n%s, %s\tmedian\tlowest\thighest\n", s.Name, c.Name) // Flush has the error
			for _, name := range Names(c.Numbers) {
				n := c.Numbers[name]
				_, _ = fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", name, Figure(n.Median, n.Unit), Figure(n.Low, n.Unit), Figure(n.High, n.Unit))
			}
		}
	}
	if len(r.Targets) > 0 {
		_, _ = fmt.Fprint(w, "\ntargets\tmeasured\ttarget\t\n")
	}
	for _, o := range r.Targets {
		_, _ = fmt.Fprintf(w, "  %s, %s\t%s\t%s\t%s\n", o.What, o.Case, o.Measured, o.Target, map[bool]string{true: "met", false: "missed"}[o.Met])
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write the summary: %w", err)
	}
	return nil
}
