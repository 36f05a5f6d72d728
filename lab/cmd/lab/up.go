// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/paia-tech/hotstandbyjob/lab"
)

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "lab",
		Short:         "A real Kubernetes " + lab.KubernetesVersion + " on this machine, built from Go modules",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.AddCommand(up(), down(), status(), kubeconfig(), buildAll(), load(), logs(), image())
	return cmd
}

func nameFlag(cmd *cobra.Command, name *string) {
	cmd.Flags().StringVar(name, "name", lab.DefaultName, "name of the lab; labs with different names run side by side")
}

func up() *cobra.Command {
	var o lab.Options
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Bring a lab up, or what of it does not run",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Progress = cmd.ErrOrStderr()
			l, err := lab.Up(cmd.Context(), o)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "export KUBECONFIG=%s\nexport PATH=%s:$PATH\n", l.Kubeconfig(), l.BinDir())
			return err
		},
	}
	nameFlag(cmd, &o.Name)
	flags := cmd.Flags()
	flags.StringVar((*string)(&o.Node), "node", string(lab.Auto),
		"real node that runs containers: auto (where possible), real, none")
	flags.IntVar(&o.SimNodes, "sim-nodes", 0, "number of simulated nodes; a running lab gets more, never less")
	flags.BoolVar(&o.Fsync, "fsync", false, "let etcd wait for the disk, as in production")
	flags.BoolVar(&o.DefaultClientLimits, "default-client-limits", false,
		"leave the request limits of kube-controller-manager and kube-scheduler as Kubernetes sets them")
	return cmd
}

func down() *cobra.Command {
	var name string
	var all bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "End a lab and remove everything of it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			names := []string{name}
			if all {
				var err error
				if names, err = lab.Names(); err != nil {
					return err
				}
			}
			for _, name := range names {
				if err := lab.Down(cmd.Context(), name); err != nil {
					return err
				}
			}
			return nil
		},
	}
	nameFlag(cmd, &name)
	cmd.Flags().BoolVar(&all, "all", false, "all labs")
	return cmd
}
