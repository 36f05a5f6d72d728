// SPDX-License-Identifier: Apache-2.0

// Package cluster gives the demo a Kubernetes cluster, a lab of its own or the one that is there, and deploys the
// operator in it as anybody would: its image, its RBAC, kubectl apply -k config/default.
package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/paia-tech/hotstandbyjob/lab"
)

// Cluster is where the demo runs.
type Cluster struct {
	// Config and Client have all the rights of the kubeconfig.
	Config *rest.Config
	Client kubernetes.Interface
	// Checkout is the repository's folder.
	Checkout string
	// Worker is the image of the demo worker.
	Worker string
	// Lab is the lab, nil where the cluster is somebody else's.
	Lab *lab.Lab

	kubectl  string
	env      []string
	present  bool   // HotStandbyJob was there before
	operator string // image
	progress io.Writer
	undo     []func(context.Context) error // what Close does, the last first
}

// Options say which cluster.
type Options struct {
	// Current takes the cluster of KUBECONFIG instead of a lab.
	Current bool
	// LabName is the lab's name.
	LabName string
	// OperatorImage and WorkerImage are pulled by the current cluster; labs build them.
	OperatorImage, WorkerImage string
	Progress                   io.Writer
}

// Open returns a cluster that is ready for use. Close is to be called also when it fails.
func Open(ctx context.Context, o Options) (*Cluster, error) {
	checkout, err := lab.Checkout()
	if err != nil {
		return &Cluster{}, err
	}
	c := &Cluster{Checkout: checkout, progress: o.Progress, operator: o.OperatorImage, Worker: o.WorkerImage}
	if o.Current {
		return c, c.openCurrent(ctx)
	}
	return c, c.openLab(ctx, o)
}

// Touched says whether Close has anything to do.
func (c *Cluster) Touched() bool { return len(c.undo) > 0 }

// Close takes everything away that the demo brought.
func (c *Cluster) Close(ctx context.Context) error {
	var errs []error
	for _, undo := range slices.Backward(c.undo) {
		errs = append(errs, undo(ctx))
	}
	c.undo = nil
	return errors.Join(errs...)
}

func (c *Cluster) connect(config *rest.Config) error {
	// What is measured here shall not wait for a limit of this program's own.
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("create client: %w", err)
	}
	c.Config, c.Client = config, client
	return nil
}

func (c *Cluster) say(format string, args ...any) {
	_, _ = fmt.Fprintf(c.progress, format+"\n", args...)
}

// Kubectl runs kubectl and returns what it writes.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) ([]byte, error) {
	return c.kubectlWith(ctx, nil, args...)
}

func (c *Cluster) kubectlWith(ctx context.Context, input []byte, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, c.kubectl, args...)
	cmd.Dir = c.Checkout
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stdin = bytes.NewReader(input)
	var out, faults bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &faults
	if err := cmd.Run(); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(faults.String()))
	}
	return out.Bytes(), nil
}

// Apply applies a manifest with kubectl.
func (c *Cluster) Apply(ctx context.Context, manifest []byte) error {
	_, err := c.kubectlWith(ctx, manifest, "apply", "-f", "-")
	return err
}

// AtClose adds to what Close does.
func (c *Cluster) AtClose(do func(context.Context) error) { c.undo = append(c.undo, do) }
