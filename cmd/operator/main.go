// SPDX-License-Identifier: Apache-2.0

// Command operator keeps the pools of all HotStandbyJobs. It runs in the cluster, or outside of it with a kubeconfig.
//
// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	ctrl "sigs.k8s.io/controller-runtime"
	_ "sigs.k8s.io/controller-runtime/pkg/client/config" // the flag --kubeconfig

	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/internal/operator"
)

func main() {
	c := config.DefaultOperator()
	c.Bind(flag.CommandLine)
	flag.Parse()
	err := errors.Join(c.Environment(os.LookupEnv), c.Validate())
	if err == nil {
		err = operator.Run(ctrl.SetupSignalHandler(), ctrl.GetConfig, c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "operator:", err)
		os.Exit(1)
	}
}
