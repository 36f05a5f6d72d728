// SPDX-License-Identifier: Apache-2.0

// Package plugin is kubectl hsj: its commands put together, and how they end.
package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/internal/plugin/cluster"
	"github.com/paia-tech/hotstandbyjob/internal/plugin/convert"
	"github.com/paia-tech/hotstandbyjob/internal/plugin/explain"
	"github.com/paia-tech/hotstandbyjob/internal/plugin/run"
	"github.com/paia-tech/hotstandbyjob/internal/plugin/steer"
	"github.com/paia-tech/hotstandbyjob/internal/plugin/top"
	"github.com/paia-tech/hotstandbyjob/internal/plugin/ui"
)

const long = `Pools of warm pods for Kubernetes Jobs: launch in them, watch them, and ask why they are as they are.`

// Run runs the command line and returns the exit code.
func Run(ctx context.Context, args []string, streams genericiooptions.IOStreams, c clock.WithTicker) int {
	klog.LogToStderr(false) // what a library logs isn't for people
	klog.SetOutput(io.Discard)
	cmd := Command(streams, c)
	cmd.SetArgs(args)
	return code(cmd.ExecuteContext(ctx), streams.ErrOut)
}

// Command is the plugin with all of its commands.
func Command(streams genericiooptions.IOStreams, c clock.WithTicker) *cobra.Command {
	cli := &cluster.CLI{IOStreams: streams, Flags: cluster.NewFlags(), Clock: c}
	root := &cobra.Command{
		Use:           "kubectl-hsj",
		Short:         "Pools of warm pods for Kubernetes Jobs",
		Long:          long,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl hsj"},
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w\nSee '%s --help' for usage", err, cmd.CommandPath())
	})
	cli.Flags.Bind(root.PersistentFlags())
	root.AddCommand(
		run.Command(cli),
		top.Command(cli),
		explain.Command(cli),
		convert.Command(cli),
		ui.Command(cli),
		versionCommand(cli),
	)
	root.AddCommand(steer.Commands(cli)...)
	return root
}

// code says what went wrong as kubectl does, and returns the exit code.
func code(err error, w io.Writer) int {
	var exit run.Exit
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.Code
	default:
		_, _ = fmt.Fprintln(w, "error:", strings.TrimSpace(err.Error()))
		return 1
	}
}
