// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os/exec"

	"k8s.io/client-go/tools/clientcmd"
)

// crd is the name of the custom resource definition: where it is, HotStandbyJob is installed.
const crd = "customresourcedefinitions.apiextensions.k8s.io/hotstandbyjobs.apps.paia.tech"

// openCurrent takes the cluster that kubectl would talk to.
func (c *Cluster) openCurrent(ctx context.Context) error {
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		clientcmd.NewDefaultClientConfigLoadingRules(), &clientcmd.ConfigOverrides{})
	raw, err := loader.RawConfig()
	if err != nil {
		return fmt.Errorf("read the kubeconfig: %w", err)
	}
	config, err := loader.ClientConfig()
	if err != nil {
		return fmt.Errorf("find the current cluster, set KUBECONFIG: %w", err)
	}
	if c.kubectl, err = exec.LookPath("kubectl"); err != nil {
		return fmt.Errorf("the demo uses kubectl, install it: %w", err)
	}
	c.say("using the cluster of context %s: %s", raw.CurrentContext, config.Host)
	if err := c.connect(config); err != nil {
		return err
	}
	if c.present, err = c.installed(ctx); err != nil {
		return err
	}
	return c.needImages()
}

// installed says whether the cluster has HotStandbyJob already.
func (c *Cluster) installed(ctx context.Context) (bool, error) {
	out, err := c.Kubectl(ctx, "get", crd, "--ignore-not-found", "--output=name")
	return len(out) > 0, err
}

// needImages says which images are still to be named, and how to get them.
func (c *Cluster) needImages() error {
	var faults []error
	if c.operator == "" && !c.present {
		faults = append(faults, errors.New("the operator's image is needed under a name that this cluster can pull: build it with "+
			"`make image`, load or push dist/hotstandbyjob-operator.tar, and name it with --operator-image"))
	}
	if c.Worker == "" {
		faults = append(faults, errors.New("the demo worker's image is needed as well: build it with "+
			"`go run -C lab ./cmd/lab image worker --output worker.tar`, load or push lab/worker.tar, and name it with --worker-image"))
	}
	return errors.Join(faults...)
}
