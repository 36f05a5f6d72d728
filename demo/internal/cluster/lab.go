// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/paia-tech/hotstandbyjob/lab"
)

// simNodes is for the pods that are only measured with: starting a hundred real ones would keep this machine busy with
// containers, and not with what is measured.
const simNodes = 2

// openLab brings up a lab of the demo's own.
func (c *Cluster) openLab(ctx context.Context, o Options) error {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return errors.New("the demo runs real containers, for which it needs root on Linux: run it as root, or use a cluster " +
			"that is there with KUBECONFIG and CLUSTER=current")
	}
	if o.OperatorImage != "" || o.WorkerImage != "" {
		return errors.New("--operator-image and --worker-image go with --cluster current: a lab's images are built from this checkout")
	}
	c.operator, c.Worker = lab.OperatorImage, lab.WorkerImage
	names, err := lab.Names()
	if err != nil {
		return fmt.Errorf("look for labs: %w", err)
	}
	if slices.Contains(names, o.LabName) {
		c.say("removing the lab that an earlier demo has left")
		if err := lab.Down(ctx, o.LabName); err != nil {
			return fmt.Errorf("remove the lab of an earlier demo: %w", err)
		}
	}
	// From here on something may be there, also if Up fails.
	c.undo = append(c.undo, func(ctx context.Context) error { return lab.Down(ctx, o.LabName) })
	l, err := lab.Up(ctx, lab.Options{Name: o.LabName, Node: lab.Real, SimNodes: simNodes, Progress: c.progress})
	if err != nil {
		return err
	}
	config, err := l.RESTConfig()
	if err != nil {
		return err
	}
	c.Lab, c.kubectl = l, filepath.Join(l.BinDir(), "kubectl")
	c.env = []string{"KUBECONFIG=" + l.Kubeconfig(), "NO_PROXY=*", "no_proxy=*"} // No proxy can reach a lab.
	return c.connect(config)
}

// loadOperator builds the operator's image and gives it to the lab's node.
func (c *Cluster) loadOperator(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "hotstandbyjob-demo-")
	if err != nil {
		return fmt.Errorf("build the operator's image: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	tar := filepath.Join(dir, "operator.tar")
	if err := lab.WriteOperatorImage(ctx, c.progress, tar); err != nil {
		return err
	}
	return c.Lab.LoadImage(ctx, tar)
}
