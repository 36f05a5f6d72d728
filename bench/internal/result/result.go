// SPDX-License-Identifier: Apache-2.0

// Package result is what the benchmarks write: a report that says all that is needed to judge its numbers, the samples
// beside it, and how one report differs from another.
package result

import (
	"maps"
	"slices"
	"time"

	"github.com/paia-tech/hotstandbyjob/bench/internal/machine"
	"github.com/paia-tech/hotstandbyjob/bench/internal/measure"
)

// Report is a run of the benchmarks.
type Report struct {
	Time time.Time `json:"time"`
	// Command is the command that it was made by.
	Command []string        `json:"command"`
	Machine machine.Machine `json:"machine"`
	// Versions are those of what ran: of Go, Kubernetes and this repository's commit.
	Versions  map[string]string `json:"versions"`
	Scenarios []Scenario        `json:"scenarios"`
	// Targets are what the numbers shall be, and are.
	Targets []Outcome `json:"targets,omitempty"`
	// Profiles are the flame graphs in the folder of the same name, if the operator was profiled, which slows it down.
	Profiles []string `json:"profiles,omitempty"`
}

// Scenario is a question, and the cases that answer it.
type Scenario struct {
	Name string `json:"name"`
	// About says what is measured, and on what.
	About string `json:"about"`
	Cases []Case `json:"cases"`
}

// Case is what repeated runs under the same conditions came to.
type Case struct {
	Name string `json:"name"`
	// Runs is how often it was measured. A run before these, which warms up, is in no number.
	Runs int `json:"runs"`
	// Latencies are of the samples of all runs together.
	Latencies map[string]measure.Latency `json:"latencies,omitempty"`
	// Numbers has each number with its spread over the runs, and the percentiles of latencies as well.
	Numbers map[string]measure.Spread `json:"numbers"`
	// Notes say what must be known to read the numbers.
	Notes []string `json:"notes,omitempty"`

	runs []*measure.Run
}

// The units of numbers.
const (
	Milliseconds measure.Unit = "ms"
	PerSecond    measure.Unit = "1/s"
	Kibibytes    measure.Unit = "KiB"
	Mebibytes    measure.Unit = "MiB"
	CPUSeconds   measure.Unit = "CPU s"
	Each         measure.Unit = "each"
	Times        measure.Unit = "×"
	Percent      measure.Unit = "%"
	Count        measure.Unit = ""
)

// Cases are those of a scenario; none if it wasn't measured.
func (r *Report) Cases(scenario string) []Case {
	for _, s := range r.Scenarios {
		if s.Name == scenario {
			return s.Cases
		}
	}
	return nil
}

// CaseOf sums up the runs of a case.
func CaseOf(name string, runs []*measure.Run, notes ...string) Case {
	c := Case{
		Name: name, Runs: len(runs), Notes: notes, runs: runs,
		Latencies: map[string]measure.Latency{}, Numbers: map[string]measure.Spread{},
	}
	together := map[string][]measure.Sample{}
	values := map[string][]float64{}
	units := map[string]measure.Unit{}
	add := func(name string, unit measure.Unit, value float64) {
		values[name], units[name] = append(values[name], value), unit
	}
	for _, r := range runs {
		for what, samples := range r.Samples() {
			together[what] = append(together[what], samples...)
			l := measure.LatencyOf(samples)
			add(what+" p50", Milliseconds, l.P50)
			add(what+" p99", Milliseconds, l.P99)
		}
		for what, n := range r.Numbers() {
			add(what, n.Unit, n.Value)
		}
	}
	for what, samples := range together {
		c.Latencies[what] = measure.LatencyOf(samples)
	}
	for what, v := range values {
		c.Numbers[what] = measure.SpreadOf(units[what], v...)
	}
	return c
}

// Names are a map's keys in order.
func Names[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
