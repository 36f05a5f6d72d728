// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/paia-tech/hotstandbyjob/internal/plugin/cluster"
	"github.com/paia-tech/hotstandbyjob/internal/plugin/page"
)

// pageTime is how long the page is waited for: there is an answer without it.
const pageTime = 5 * time.Second

const long = `Say why a pool, a launch or a pod is as it is, step by step, each with what to do about it.

It is told from the objects, their conditions and Events, and from the operator's page, which remembers when and how the last
launches started.`

const example = `  kubectl hsj explain match
  kubectl hsj explain job/match-4711
  kubectl hsj explain pod/match-w-x7k2p`

// Command is kubectl hsj explain.
func Command(cli *cluster.CLI) *cobra.Command {
	o, output := page.Options{}, ""
	cmd := &cobra.Command{
		Use:               "explain POOL|job/NAME|pod/NAME",
		Short:             "Say why a pool, a launch or a pod is as it is",
		Long:              long,
		Example:           example,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cli.CompleteTarget(),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, name, err := target(args[0])
			if err != nil {
				return err
			}
			k, err := cli.Connect()
			if err != nil {
				return err
			}
			s, err := gather(cmd.Context(), k, kind, name)
			if err != nil {
				return err
			}
			s.Now = cli.Clock.Now()
			if err := remembered(cmd.Context(), cli, k, o, &s); err != nil {
				_, _ = fmt.Fprintln(cli.ErrOut, "note: without the phases of launches:", err)
			}
			return Print(cli.Out, output, Explain(s))
		},
	}
	o.Bind(cmd.Flags())
	cmd.Flags().StringVarP(&output, "output", "o", "", "json or yaml, rather than text")
	return cmd
}

func remembered(ctx context.Context, cli *cluster.CLI, k *cluster.Cluster, o page.Options, s *Snapshot) error {
	ctx, stop := context.WithTimeout(ctx, pageTime)
	defer stop()
	p, err := page.Open(ctx, k, o, cli.Clock)
	if err != nil {
		return err
	}
	return launches(ctx, p, k.Namespace, s)
}

// Print writes the steps in a format: text, json or yaml.
func Print(w io.Writer, format string, steps []Step) error {
	if format != "" {
		return cluster.Encode(w, format, steps)
	}
	for _, s := range steps {
		if _, err := fmt.Fprintln(w, "-", s.Text); err != nil {
			return err
		}
		if s.Remedy != "" {
			if _, err := fmt.Fprintln(w, "    →", s.Remedy); err != nil {
				return err
			}
		}
	}
	return nil
}
