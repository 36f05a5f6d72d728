// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Flags are kubectl's own that say which cluster is meant, and as whom. cli-runtime's ConfigFlags have the same, but bring
// discovery, OpenAPI and kustomize with them, whose start takes longer than a launch.
type Flags struct {
	rules     *clientcmd.ClientConfigLoadingRules
	overrides clientcmd.ConfigOverrides
}

// NewFlags reads $KUBECONFIG as kubectl does.
func NewFlags() *Flags { return &Flags{rules: clientcmd.NewDefaultClientConfigLoadingRules()} }

// Bind makes them flags.
func (f *Flags) Bind(flags *pflag.FlagSet) {
	flags.StringVar(&f.rules.ExplicitPath, "kubeconfig", "", "Path to the kubeconfig file to use")
	names := clientcmd.RecommendedConfigOverrideFlags("")
	names.ContextOverrideFlags.Namespace.ShortName = "n"
	names.ClusterOverrideFlags.APIServer.ShortName = "s"
	clientcmd.BindOverrideFlags(&f.overrides, flags, names)
}

// config reads the kubeconfig, or the service account's files in a pod.
func (f *Flags) config() (*rest.Config, string, error) {
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(f.rules, &f.overrides)
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, "", err
	}
	namespace, _, err := loader.Namespace()
	return config, namespace, err
}
