// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/paia-tech/hotstandbyjob/lab"
)

func status() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show all labs and what of them runs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			names, err := lab.Names()
			if err != nil {
				return err
			}
			out := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			_, _ = fmt.Fprintln(out, "LAB\tCOMPONENT\tPID") // Flush reports the error
			for _, name := range names {
				if err := showLab(out, name); err != nil {
					return err
				}
			}
			return out.Flush()
		},
	}
}

func showLab(out *tabwriter.Writer, name string) error {
	l, err := lab.Open(name)
	if err != nil {
		_, err := fmt.Fprintf(out, "%s\t(not running)\t\n", name)
		return err
	}
	components, err := l.Components()
	if err != nil {
		return err
	}
	for _, c := range components {
		pid := "(ended)"
		if c.PID != 0 {
			pid = fmt.Sprint(c.PID)
		}
		if _, err := fmt.Fprintf(out, "%s\t%s\t%s\n", name, c.Name, pid); err != nil {
			return err
		}
	}
	return nil
}

func kubeconfig() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "kubeconfig",
		Short: "Print the path of a lab's kubeconfig",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := lab.Open(name)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), l.Kubeconfig())
			return err
		},
	}
	nameFlag(cmd, &name)
	return cmd
}

func logs() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "logs [COMPONENT]",
		Short: "Print the folder of a lab's logs, or the log of one component",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := lab.Open(name)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), l.Logs())
				return err
			}
			raw, err := os.ReadFile(filepath.Join(l.Logs(), args[0]+".log"))
			if err != nil {
				return fmt.Errorf("read the log of %s: %w", args[0], err)
			}
			_, err = cmd.OutOrStdout().Write(raw)
			return err
		},
	}
	nameFlag(cmd, &name)
	return cmd
}

func load() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "load IMAGE.tar…",
		Short: "Give the real node of a lab the images in tar files",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := lab.Open(name)
			if err != nil {
				return err
			}
			for _, path := range args {
				if err := l.LoadImage(cmd.Context(), path); err != nil {
					return err
				}
				_, _ = fmt.Fprintf(cmd.OutOrStdout(), "lab %s has the images of %s\n", name, path)
			}
			return nil
		},
	}
	nameFlag(cmd, &name)
	return cmd
}

func buildAll() *cobra.Command {
	var node string
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Build the programs of a lab and print their folder",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := lab.Build(cmd.Context(), lab.Options{Node: lab.NodeMode(node), Progress: cmd.ErrOrStderr()})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), dir)
			return err
		},
	}
	cmd.Flags().StringVar(&node, "node", string(lab.Auto), "build for this kind of node: auto, real, none")
	return cmd
}
