// SPDX-License-Identifier: Apache-2.0

package result

import (
	"fmt"
	"slices"
)

// Target is what a number shall be. It holds for each case that is named, and for all where none is.
type Target struct {
	// What the number is, in words.
	What     string
	Scenario string
	Cases    []string
	Number   string
	// Beside is the number that it is divided by, and BesideCase that one's case where it is another; empty: it stands alone.
	Beside, BesideCase string
	// Bound is the most that it may be, or with AtLeast the least.
	Bound   float64
	AtLeast bool
	// Meanwhile are numbers of the same case that say what the limit was.
	Meanwhile []string
	// Tried says what was done to reach it, where it may be missed.
	Tried string
}

// Outcome is what came of a target in one case.
type Outcome struct {
	What string `json:"what"`
	Case string `json:"case"`
	// Target and Measured are numbers with their units.
	Target   string `json:"target"`
	Measured string `json:"measured"`
	Met      bool   `json:"met"`
	// Meanwhile is what else was measured in this case that says what the limit was.
	Meanwhile []string `json:"meanwhile,omitempty"`
	// Tried says what was done to reach a target that was missed.
	Tried string `json:"tried,omitempty"`
}

// Judge holds a report against targets. What wasn't measured has no outcome.
func (r *Report) Judge(targets []Target) (all []Outcome) {
	for _, t := range targets {
		cases := r.Cases(t.Scenario)
		for _, c := range cases {
			if len(t.Cases) > 0 && !slices.Contains(t.Cases, c.Name) {
				continue
			}
			o, ok := t.judge(c, cases)
			if !ok {
				continue
			}
			if !o.Met {
				o.Tried = t.Tried
			}
			all = append(all, o)
		}
	}
	return all
}

func (t Target) judge(c Case, all []Case) (Outcome, bool) {
	number, ok := c.Numbers[t.Number]
	if !ok {
		return Outcome{}, false
	}
	value, unit := number.Median, number.Unit
	if t.Beside != "" {
		beside := c
		if i := slices.IndexFunc(all, func(o Case) bool { return o.Name == t.BesideCase }); i >= 0 {
			beside = all[i]
		}
		than, ok := beside.Numbers[t.Beside]
		if !ok || than.Median <= 0 || (t.BesideCase != "" && beside.Name != t.BesideCase) {
			return Outcome{}, false
		}
		value, unit = value/than.Median, Times
	}
	o := Outcome{What: t.What, Case: c.Name, Measured: Figure(value, unit), Target: "≤ " + Figure(t.Bound, unit), Met: value <= t.Bound}
	if t.AtLeast {
		o.Target, o.Met = "≥ "+Figure(t.Bound, unit), value >= t.Bound
	}
	for _, name := range t.Meanwhile {
		if n, ok := c.Numbers[name]; ok {
			o.Meanwhile = append(o.Meanwhile, fmt.Sprintf("%s: %s", name, Figure(n.Median, n.Unit)))
		}
	}
	return o, true
}
