// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// Completion completes an argument.
type Completion = func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective)

// CompletePool completes the first argument with the names of pools.
func (c *CLI) CompletePool() Completion {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return beginning(c.poolNames(cmd), word), cobra.ShellCompDirectiveNoFileComp
	}
}

// CompleteTarget completes the first argument with the names of pools, and with job/NAME of their launches.
func (c *CLI) CompleteTarget() Completion {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names := c.poolNames(cmd)
		if k, err := c.Connect(); err == nil {
			names = append(names, jobNames(cmd, k, v1alpha1.LabelPool)...)
		}
		return beginning(names, word), cobra.ShellCompDirectiveNoFileComp
	}
}

// CompleteSource completes with job/NAME and cronjob/NAME.
func (c *CLI) CompleteSource() Completion {
	return func(cmd *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
		k, err := c.Connect()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names := jobNames(cmd, k, "")
		if list, err := k.CronJobs(k.Namespace).List(cmd.Context(), metav1.ListOptions{}); err == nil {
			for i := range list.Items {
				names = append(names, "cronjob/"+list.Items[i].Name)
			}
		}
		return beginning(names, word), cobra.ShellCompDirectiveNoFileComp
	}
}

func (c *CLI) poolNames(cmd *cobra.Command) (names []string) {
	k, err := c.Connect()
	if err != nil {
		return nil
	}
	list, err := k.Pools(cmd.Context(), k.Namespace)
	if err != nil {
		return nil
	}
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names
}

func jobNames(cmd *cobra.Command, k *Cluster, selector string) (names []string) {
	list, err := k.Jobs(k.Namespace).List(cmd.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil
	}
	for i := range list.Items {
		names = append(names, "job/"+list.Items[i].Name)
	}
	return names
}

func beginning(names []string, word string) (out []string) {
	for _, name := range names {
		if strings.HasPrefix(name, word) {
			out = append(out, name)
		}
	}
	return out
}
