// SPDX-License-Identifier: Apache-2.0

// Command kubectl is a program of its own, as it is for users: within the other one it takes twice as long to start.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
)

func main() { os.Exit(cli.Run(cmd.NewDefaultKubectlCommand())) }
