// SPDX-License-Identifier: Apache-2.0

// Package scenario is what is measured. Each scenario answers one question, with what users would otherwise use beside it
// in the same run.
package scenario

import (
	"context"
	"fmt"

	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/bench/internal/cluster"
	"github.com/paia-tech/hotstandbyjob/bench/internal/measure"
	"github.com/paia-tech/hotstandbyjob/bench/internal/result"
	"github.com/paia-tech/hotstandbyjob/bench/internal/table"
)

// Scenario is a question.
type Scenario struct {
	Name string
	// About says what is measured, and on what.
	About string
	Run   func(context.Context, Bench) ([]result.Case, error)
	// Rows are what of it is in the table of the README.
	Rows []table.Row
	// Pictured are the latencies of its first case that the README has a picture of.
	Pictured []string
}

// All scenarios, in the order in which they run.
func All() []Scenario {
	return []Scenario{launches(), bursts(), refills(), reaction(), contention(), finished(), sustained(), scale()}
}

// Rows are those of all scenarios.
func Rows() []table.Scenario {
	var rows []table.Scenario
	for _, s := range All() {
		rows = append(rows, table.Scenario{Name: s.Name, Rows: s.Rows})
	}
	return rows
}

// each is a number that each case has.
func each(name string) table.Number { return table.Number{Name: name} }

// of is a number of one case.
func of(name, number string) table.Number { return table.Number{Case: name, Name: number} }

// Bench is what scenarios are given.
type Bench struct {
	Clock clock.Clock
	// Open returns a cluster that all scenarios share.
	Open func(context.Context) (*cluster.Cluster, error)
	// OpenDefaults returns another, whose own controllers have the limits that Kubernetes gives them.
	OpenDefaults func(context.Context) (*cluster.Cluster, error)
	// Quick leaves out what takes long.
	Quick bool
	// Runs is how often each case is measured.
	Runs int
	// Seed makes the same load again.
	Seed uint64
	// Record takes the profiles of an operator until it is told to finish, where operators have any.
	Record func(ctx context.Context, name, url string) (finish func(context.Context) error)
	// Say tells what is going on.
	Say func(format string, args ...any)
}

// choose is one thing for a quick run and another for a whole one.
func choose[T any](b Bench, quick, whole T) T {
	if b.Quick {
		return quick
	}
	return whole
}

// repeat measures a case so often, after a run that warms everything up and counts for nothing.
func (b Bench) repeat(what string, once func(run int, into *measure.Run) error) ([]*measure.Run, error) {
	var runs []*measure.Run
	for i := range b.Runs + 1 {
		b.Say("%s: %s", what, map[bool]string{true: "warm-up", false: fmt.Sprintf("run %d of %d", i, b.Runs)}[i == 0])
		r := &measure.Run{}
		if err := once(i, r); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		if i > 0 {
			runs = append(runs, r)
		}
	}
	return runs, nil
}
