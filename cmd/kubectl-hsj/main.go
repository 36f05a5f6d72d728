// SPDX-License-Identifier: Apache-2.0

// Command kubectl-hsj is the kubectl plugin `kubectl hsj`.
package main

import (
	"context"
	"os"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/internal/plugin"
)

func main() {
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	os.Exit(plugin.Run(context.Background(), os.Args[1:], streams, clock.RealClock{}))
}
