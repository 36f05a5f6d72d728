// SPDX-License-Identifier: Apache-2.0

package run

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/paia-tech/hotstandbyjob/internal/plugin/cluster"
)

const (
	startTime = 5 * time.Minute
	keepTime  = time.Hour
)

const long = `Launch a command in a pod of a pool that is already running, and show what it writes.

It makes an ordinary Job with the label hsj.paia.tech/pool from the pool's own template. What comes after -- are the
arguments of the pool's command; with --command they are the command itself. The exit code is the command's own. Ctrl-C
deletes the Job, which ends the command.

Without an idle pod the pool's spec.standby.whenEmpty decides: the command starts cold, waits or is rejected.`

const example = `  # Run the pool's command with these arguments
  kubectl hsj run match -- --map=desert --seed=7

  # Run another command in the pool's container
  kubectl hsj run match --command -- sh -c 'ls /assets | wc -l'

  # Four pods at once or none; each line begins with its pod's name
  kubectl hsj run match --gang=4 --env=ROUND=3 -- --map=desert

  # Launch only, and say which Job it is
  kubectl hsj run match --wait=false -o name -- --map=desert`

// Command is kubectl hsj run.
func Command(cli *cluster.CLI) *cobra.Command {
	o := Options{}
	output := ""
	cmd := &cobra.Command{
		Use:               "run POOL [flags] -- ARGS...",
		Short:             "Launch a command in a pool's pod and show what it writes",
		Long:              long,
		Example:           example,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: cli.CompletePool(),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Pool, o.Args = args[0], args[1:]
			k, err := cli.Connect()
			if err != nil {
				return err
			}
			printer, err := printerFor(output)
			if err != nil {
				return err
			}
			signals := make(chan os.Signal, 2)
			signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE)
			defer signal.Stop(signals)
			return Launch(cmd.Context(), Deps{
				IOStreams: cli.IOStreams, Cluster: k, Clock: cli.Clock, Signals: signals, Random: rand.String(5),
				Made: func(job *batchv1.Job) error {
					job.APIVersion, job.Kind = batchv1.SchemeGroupVersion.String(), "Job" // a client leaves them out
					return printer.PrintObj(job, cli.Out)
				},
			}, o)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.Env, "env", nil, "NAME=VALUE for the command's environment; may be given more than once")
	f.BoolVar(&o.Command, "command", false, "what comes after -- is the command, and not the arguments of the pool's")
	f.StringVar(&o.Image, "image", "", "another image than the pool's; no running pod has it, so the command starts cold")
	f.StringVar(&o.Name, "name", "", "name of the Job; by default the pool's with a random end")
	f.Int32Var(&o.Gang, "gang", 1, "number of pods, which start at once or not at all")
	f.Int32Var(&o.Priority, "priority", 0, "place among those that wait for a pod, the greatest first")
	f.BoolVar(&o.Wait, "wait", true, "show what the command writes, and end as it ends; false: make the Job and print its name (see -o)")
	f.BoolVar(&o.Remove, "rm", false, "delete the Job when the command has ended")
	f.DurationVar(&o.TTL, "ttl", keepTime, "how long the Job is kept after it has ended; 0: for ever")
	f.DurationVar(&o.Timeout, "timeout", startTime, "give up, and delete the Job, if the command hasn't started by then; 0: never")
	f.BoolVar(&o.Direct, "direct", false, "hand the Job to the operator without asking its webhook: faster, or where it has none; without the operator such a Job never starts")
	f.BoolVar(&o.Timings, "timings", false, "say on stderr where the time went")
	f.StringVarP(&output, "output", "o", "", "with --wait=false: name, json or yaml of the Job")
	return cmd
}

// printerFor is how a Job is shown.
func printerFor(format string) (printers.ResourcePrinter, error) {
	switch format {
	case "":
		return &printers.NamePrinter{Operation: "created"}, nil
	case "name":
		return &printers.NamePrinter{ShortOutput: true}, nil
	case "json":
		return &printers.JSONPrinter{}, nil
	case "yaml":
		return &printers.YAMLPrinter{}, nil
	}
	return nil, fmt.Errorf("-o %q: want name, json or yaml", format)
}
