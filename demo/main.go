// SPDX-License-Identifier: Apache-2.0

// Command demo shows pools of standby Jobs at work on a real Kubernetes, measures what is promised, and cleans up.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// options are what the demo can be told.
type options struct {
	stay          bool
	cluster       string
	name          string
	operatorImage string
	workerImage   string
	record        string
}

const currentCluster = "current"

func main() {
	o, err := parse(os.Args[1:], os.Getenv)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		// The first signal ends the demo, which cleans up then; a second one ends that too.
		context.AfterFunc(ctx, stop)
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func parse(args []string, env func(string) string) (options, error) {
	o := options{cluster: env("CLUSTER")}
	switch demo := env("DEMO"); demo {
	case "":
	case "stay":
		o.stay = true
	default:
		return o, fmt.Errorf("DEMO is %q: it can be stay, or not be set", demo)
	}
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.BoolVar(&o.stay, "stay", o.stay, "leave everything as it is at the end (DEMO=stay)")
	flags.StringVar(&o.cluster, "cluster", o.cluster, "current: use the cluster of KUBECONFIG instead of a lab of the demo's own (CLUSTER=current)")
	flags.StringVar(&o.operatorImage, "operator-image", "", "with --cluster current: the operator's image as that cluster can pull it")
	flags.StringVar(&o.workerImage, "worker-image", "", "with --cluster current: the demo worker's image as that cluster can pull it")
	flags.StringVar(&o.name, "name", "demo", "name of the lab")
	flags.StringVar(&o.record, "record", "", "write a recording to this file, an animated SVG")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.cluster != "" && o.cluster != currentCluster {
		return o, fmt.Errorf("the cluster is %q: it can be %s, or not be set", o.cluster, currentCluster)
	}
	return o, nil
}
