// SPDX-License-Identifier: Apache-2.0

// Command bench measures launches and pools on a real Kubernetes, beside what would be used otherwise, and writes a report:
// see docs/bench.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/paia-tech/hotstandbyjob/bench/internal/scenario"
)

// options are what the benchmarks can be told.
type options struct {
	scenarios string
	quick     bool
	whole     string
	compare   string
	readme    bool
	runs      int
	seed      uint64
	out       string
	baseline  string
	profiles  bool
	lab       string
	simNodes  int
	node      string
}

func main() {
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		// The first signal ends the benchmarks, which clean up then; a second one ends that too.
		context.AfterFunc(ctx, stop)
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.scenarios, "scenario", "", "the scenarios to measure, separated by commas (default: all): "+strings.Join(names(), ", "))
	flags.BoolVar(&o.quick, "quick", false, "fewer and smaller cases, in some minutes")
	flags.StringVar(&o.whole, "whole", "", "scenarios that -quick leaves as they are, separated by commas")
	flags.StringVar(&o.compare, "compare", "", "measure nothing: compare this report with the baseline")
	flags.BoolVar(&o.readme, "readme", false, "measure nothing: write the table of README.md from the baseline, and its picture, for which it needs Chromium")
	flags.IntVar(&o.runs, "runs", 0, "how often each case is measured (default 3, with -quick 1)")
	flags.Uint64Var(&o.seed, "seed", 1, "makes the same load again")
	flags.StringVar(&o.out, "out", "dist/bench", "folder for the report")
	flags.StringVar(&o.baseline, "baseline", "bench/baseline.json", "report that is compared with")
	flags.BoolVar(&o.profiles, "profiles", false, "take profiles of the operator, with flame graphs; the numbers of such a run are those of an operator that is profiled")
	flags.StringVar(&o.lab, "lab", "bench", "name of the lab; one that runs is used and left running")
	flags.IntVar(&o.simNodes, "sim-nodes", 8, "simulated nodes of the lab")
	flags.StringVar(&o.node, "node", "auto", "real node of the lab: auto, real, none")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.runs == 0 {
		o.runs = map[bool]int{true: 1, false: 3}[o.quick]
	}
	_, err := o.chosen()
	if o.runs < 1 {
		err = errors.Join(err, fmt.Errorf("-runs is %d: it must be at least 1", o.runs))
	}
	return o, err
}

// chosen are the scenarios that were asked for.
func (o options) chosen() ([]scenario.Scenario, error) {
	var chosen []scenario.Scenario
	for _, s := range scenario.All() {
		if o.scenarios == "" || slices.Contains(strings.Split(o.scenarios, ","), s.Name) {
			chosen = append(chosen, s)
		}
	}
	for name := range strings.SplitSeq(o.scenarios+","+o.whole, ",") {
		if name != "" && !slices.Contains(names(), name) {
			return nil, fmt.Errorf("there is no scenario %q: choose of %s", name, strings.Join(names(), ", "))
		}
	}
	return chosen, nil
}

// short says whether a scenario is made short.
func (o options) short(name string) bool {
	return o.quick && !slices.Contains(strings.Split(o.whole, ","), name)
}

func names() []string {
	var names []string
	for _, s := range scenario.All() {
		names = append(names, s.Name)
	}
	return names
}
