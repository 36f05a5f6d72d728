// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/paia-tech/hotstandbyjob/lab"
)

func image() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Build an image of this repository as a tar file, without Docker",
	}
	cmd.AddCommand(
		imageOf("operator", lab.OperatorImage, lab.WriteOperatorImage),
		imageOf("worker", lab.WorkerImage, lab.WriteWorkerImage),
	)
	return cmd
}

func imageOf(what, name string, write func(context.Context, io.Writer, string) error) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   what,
		Short: "Build " + name,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := write(cmd.Context(), cmd.ErrOrStderr(), output); err != nil {
				return err
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), output)
			return err
		},
	}
	cmd.Flags().StringVar(&output, "output", "hotstandbyjob-"+what+".tar", "the tar file to write")
	return cmd
}
