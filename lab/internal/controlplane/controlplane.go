// SPDX-License-Identifier: Apache-2.0

// Package controlplane starts etcd, kube-apiserver, kube-controller-manager and kube-scheduler: with which flags, and
// in which order.
package controlplane

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/paia-tech/hotstandbyjob/lab/internal/pki"
	"github.com/paia-tech/hotstandbyjob/lab/internal/process"
)

// The names of the processes.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
)

// Ports are the ports that the control plane listens on.
type Ports struct {
	EtcdClient        int `json:"etcdClient"`
	EtcdPeer          int `json:"etcdPeer"`
	APIServer         int `json:"apiServer"`
	ControllerManager int `json:"controllerManager"`
	Scheduler         int `json:"scheduler"`
}

// Config describes a control plane.
type Config struct {
	// Group starts the processes.
	Group process.Group
	// Program returns the path of a program.
	Program func(name string) string
	// DataDir is etcd's data.
	DataDir string
	// PKI names the certificates.
	PKI pki.Files
	// Ports are what it listens on.
	Ports Ports
	// Address is what the API server listens on: loopback, or the host's end of the link to the real node.
	Address string
	// ServiceCIDR is the range of the Services' addresses.
	ServiceCIDR string
	// Fsync makes etcd wait for the disk.
	Fsync bool
	// DefaultClientLimits leaves the request limits of the controllers' clients as Kubernetes sets them.
	DefaultClientLimits bool
}

const (
	loopback     = "127.0.0.1"
	pollInterval = 25 * time.Millisecond
	logLines     = 12
)

// Start starts what does not run and returns when the API server is ready.
// The controllers follow in StartControllers: kube-controller-manager ends for good when it is started before the
// bootstrap roles are there.
func (c Config) Start(ctx context.Context) error {
	for _, spec := range []process.Spec{c.etcd(), c.apiServer()} {
		if _, err := c.Group.Start(ctx, spec); err != nil {
			return err
		}
	}
	return c.await(ctx, APIServer, c.serverURL()+"/readyz", Etcd, APIServer)
}

// StartControllers starts kube-controller-manager and kube-scheduler and returns when both are healthy.
func (c Config) StartControllers(ctx context.Context) error {
	for _, spec := range []process.Spec{c.controllerManager(), c.scheduler()} {
		if _, err := c.Group.Start(ctx, spec); err != nil {
			return err
		}
	}
	manager := "https://" + net.JoinHostPort(loopback, strconv.Itoa(c.Ports.ControllerManager)) + "/healthz"
	scheduler := "https://" + net.JoinHostPort(loopback, strconv.Itoa(c.Ports.Scheduler)) + "/healthz"
	return errors.Join(
		c.await(ctx, ControllerManager, manager, ControllerManager),
		c.await(ctx, Scheduler, scheduler, Scheduler),
	)
}

func (c Config) serverURL() string {
	return "https://" + net.JoinHostPort(c.Address, strconv.Itoa(c.Ports.APIServer))
}

// await polls a health endpoint until it answers with 200 or one of the processes it depends on has ended.
func (c Config) await(ctx context.Context, name, url string, processes ...string) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		last := probe(ctx, client, url)
		if last == nil {
			return nil
		}
		for _, p := range processes {
			if _, ok := c.Group.Running(p); !ok {
				return fmt.Errorf("%s has ended, the last lines of %s are:\n%s", p, c.Group.LogFile(p), c.Group.Tail(p, logLines))
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s (%w), see %s: %w", name, last, c.Group.LogFile(name), context.Cause(ctx))
		case <-tick.C:
		}
	}
}

func probe(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("probe %s: %w", url, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("probe %s: %w", url, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("probe %s: %s", url, response.Status)
	}
	return nil
}

// client trusts the cluster's authority and uses no proxy: none can reach these addresses.
func (c Config) client() (*http.Client, error) {
	raw, err := os.ReadFile(c.PKI.CA.Cert)
	if err != nil {
		return nil, fmt.Errorf("read the cluster's authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("read the cluster's authority: no certificate in %s", c.PKI.CA.Cert)
	}
	return &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}},
		Timeout:   2 * time.Second,
	}, nil
}

// Program returns a function that finds programs in a folder. What KUBEBUILDER_ASSETS holds goes first: whoever sets it
// wants to be tested against those.
func Program(binDir string) func(name string) string {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	return func(name string) string {
		if assets != "" && (name == Etcd || name == APIServer) {
			path := filepath.Join(assets, name)
			if _, err := os.Stat(path); err == nil {
				return path
			}
		}
		return filepath.Join(binDir, name)
	}
}
