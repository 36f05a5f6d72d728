// SPDX-License-Identifier: Apache-2.0

// Package lab runs a real Kubernetes on this machine, with nothing but what is built from Go modules: a control plane,
// simulated nodes in any number, and a real node for root on Linux. Development, tests, benchmarks and the demo use it.
//
// A lab is known by its name and lives in one folder. It outlives the command that brought it up, and Down removes it
// whatever happened to that command or to any part of it.
package lab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/paia-tech/hotstandbyjob/lab/internal/build"
	"github.com/paia-tech/hotstandbyjob/lab/internal/controlplane"
	"github.com/paia-tech/hotstandbyjob/lab/internal/process"
	"github.com/paia-tech/hotstandbyjob/lab/internal/simnode"
)

// KubernetesVersion is the version that labs run.
const KubernetesVersion = build.KubernetesVersion

// ErrNotRunning says that there is no such lab.
var ErrNotRunning = errors.New("the lab does not run")

// Lab is a lab that was brought up.
type Lab struct {
	folder folder
	state  state
}

// Open returns a running lab.
func Open(name string) (*Lab, error) {
	f, err := locate(name)
	if err != nil {
		return nil, err
	}
	s, found, err := f.load()
	if err != nil {
		return nil, err
	}
	l := &Lab{folder: f, state: s}
	if _, running := f.group().Running(controlplane.APIServer); !found || !running {
		return nil, fmt.Errorf("lab %s: %w: bring it up first", name, ErrNotRunning)
	}
	return l, nil
}

// Name is the lab's name.
func (l *Lab) Name() string { return l.folder.name }

// Kubeconfig is the path of a kubeconfig with all rights.
func (l *Lab) Kubeconfig() string { return l.folder.pki().Admin }

// RESTConfig is for clients with all rights and no limit of their own to the number of requests.
func (l *Lab) RESTConfig() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", l.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("read the lab's kubeconfig: %w", err)
	}
	config.QPS = -1
	// No proxy can reach a lab.
	config.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
	return config, nil
}

// BinDir is the folder with the programs: kubectl, etcd and all others.
func (l *Lab) BinDir() string { return l.state.BinDir }

// Logs is the folder with one log file for each component.
func (l *Lab) Logs() string { return l.folder.group().Logs }

// HasNode reports whether the lab has a real node.
func (l *Lab) HasNode() bool { return l.state.Real }

// SimNodes is the number of simulated nodes.
func (l *Lab) SimNodes() int { return l.state.SimNodes }

// LoadImage gives the real node the images in a tar file, docker's or OCI's.
func (l *Lab) LoadImage(ctx context.Context, tarPath string) error {
	if !l.state.Real {
		return fmt.Errorf("load image %s: lab %s has no real node, simulated ones need no images", tarPath, l.folder.name)
	}
	return l.folder.loadImage(ctx, tarPath)
}

// Down ends the lab and removes it.
func (l *Lab) Down(ctx context.Context) error { return l.folder.down(ctx) }

// Component is a process of a lab.
type Component struct {
	// Name is the component's name, by which its log file is called as well.
	Name string
	// PID is its process id, zero if it does not run.
	PID int
}

// Components returns the processes that the lab consists of.
func (l *Lab) Components() ([]Component, error) {
	group := l.folder.group()
	names, err := group.Names()
	if err != nil {
		return nil, err
	}
	var components []Component
	for _, name := range names {
		c := Component{Name: name}
		if pid, ok := group.Running(name); ok {
			c.PID = pid
		}
		components = append(components, c)
	}
	slices.SortFunc(components, byStart)
	return components, nil
}

// byStart sorts components as they depend on each other.
func byStart(a, b Component) int {
	order := []string{
		controlplane.Etcd, controlplane.APIServer, controlplane.ControllerManager, controlplane.Scheduler, simnode.Process,
	}
	rank := func(c Component) int {
		if i := slices.Index(order, c.Name); i >= 0 {
			return i
		}
		return len(order)
	}
	return rank(a) - rank(b)
}

func (f folder) group() process.Group {
	return process.Group{Run: f.path("run"), Logs: f.path("logs"), Mark: f.dir}
}
