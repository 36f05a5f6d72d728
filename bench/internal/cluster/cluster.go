// SPDX-License-Identifier: Apache-2.0

// Package cluster is where the benchmarks run: a lab, and namespaces in it that each have an operator in a process of its
// own, as it is released: without the race detector, and with nothing of the benchmarks in it.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/lab"
	"github.com/paia-tech/hotstandbyjob/test/drive"
)

// Options describe a cluster.
type Options struct {
	// Name is the lab's. One of this name that runs is used, and left running.
	Name     string
	Node     lab.NodeMode
	SimNodes int
	// DefaultClientLimits leaves the limits of the cluster's own controllers as Kubernetes sets them.
	DefaultClientLimits bool
	// Profiles has operators serve their profiles.
	Profiles bool
	// Operator is the operator's program; BuildOperator makes it.
	Operator string
	// Folder is for logs and images.
	Folder   string
	Progress io.Writer
}

// Cluster is a lab that knows HotStandbyJobs.
type Cluster struct {
	Lab    *lab.Lab
	Config *rest.Config
	// Client reads from the API server.
	Client client.WithWatch
	// Host is this machine's address as pods reach it.
	Host string

	options Options
	ours    bool // Close takes it down
}

// Open returns a cluster that is ready for use. Close is to be called also when it fails.
func Open(ctx context.Context, o Options) (*Cluster, error) {
	c := &Cluster{options: o}
	_, err := lab.Open(o.Name)
	c.ours = errors.Is(err, lab.ErrNotRunning)
	c.Lab, err = lab.Up(ctx, lab.Options{
		Name: o.Name, Node: o.Node, SimNodes: o.SimNodes, DefaultClientLimits: o.DefaultClientLimits, Progress: o.Progress,
	})
	if err != nil {
		return c, err
	}
	if err := c.connect(ctx); err != nil {
		return c, fmt.Errorf("prepare lab %s: %w", o.Name, err)
	}
	return c, nil
}

// Close takes the lab down if it didn't run before.
func (c *Cluster) Close(ctx context.Context) error {
	if !c.ours {
		return nil
	}
	return lab.Down(ctx, c.options.Name)
}

func (c *Cluster) connect(ctx context.Context) (err error) {
	if c.Config, err = c.Lab.RESTConfig(); err != nil {
		return err
	}
	server, err := url.Parse(c.Config.Host)
	if err != nil {
		return err
	}
	c.Host = server.Hostname()
	scheme, err := drive.Scheme()
	if err != nil {
		return err
	}
	if c.Client, err = client.NewWithWatch(c.Config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	root, err := lab.Checkout()
	if err != nil {
		return err
	}
	if err := drive.Define(ctx, c.Client, root); err != nil {
		return err
	}
	return Await(ctx, "HotStandbyJobs are served", func(ctx context.Context) bool {
		return c.Client.List(ctx, &v1alpha1.HotStandbyJobList{}) == nil
	})
}

// Ensure has Debian packages installed that are missing, where that may be done.
func (c *Cluster) Ensure(ctx context.Context, packages ...string) error {
	if err := lab.EnsurePackages(ctx, c.options.Progress, packages...); err != nil {
		return fmt.Errorf("install what the benchmark runs: %w", err)
	}
	return nil
}

// imageVariable is the environment variable that names a tar file with the operator's image, which need not be built then.
const imageVariable = "HSJ_OPERATOR_IMAGE"

// LoadEntrypoint gives the real node the image that standby pods take their entrypoint from.
func (c *Cluster) LoadEntrypoint(ctx context.Context) error {
	tar := os.Getenv(imageVariable)
	if tar == "" {
		tar = filepath.Join(c.options.Folder, "operator.tar")
		defer func() { _ = os.Remove(tar) }()
		if err := lab.WriteOperatorImage(ctx, c.options.Progress, tar); err != nil {
			return err
		}
	}
	return c.Lab.LoadImage(ctx, tar)
}

// BuildOperator builds cmd/operator into a folder, as it is built for its image: the lab's programs share packages with it.
func BuildOperator(ctx context.Context, folder string) (program string, err error) {
	root, err := lab.Checkout()
	if err != nil {
		return "", err
	}
	program = filepath.Join(folder, "operator")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "./cmd/operator")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the operator: %w\n%s", err, out)
	}
	return program, nil
}

const (
	// patience is how long anything may take before the benchmark gives up: far longer than it does.
	patience = 15 * time.Minute
	polling  = 100 * time.Millisecond
)

// Await polls until something holds. Nothing is measured by it.
func Await(ctx context.Context, what string, holds func(context.Context) bool) error {
	err := wait.PollUntilContextTimeout(ctx, polling, patience, true, func(ctx context.Context) (bool, error) { return holds(ctx), nil })
	if err != nil {
		return fmt.Errorf("wait until %s: %w", what, err)
	}
	return nil
}
