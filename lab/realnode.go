// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/paia-tech/hotstandbyjob/lab/internal/dns"
	"github.com/paia-tech/hotstandbyjob/lab/internal/image"
	"github.com/paia-tech/hotstandbyjob/lab/internal/node"
	"github.com/paia-tech/hotstandbyjob/lab/internal/pki"
)

const (
	// nodeName is the name of the real node.
	nodeName = "node-0"
	// nodeProcess is the name of the process that the node hangs on.
	nodeProcess = "node"
)

func (f folder) nodeDir() string { return f.path("node") }

func (f folder) loadImage(ctx context.Context, tarPath string) error {
	return image.Load(ctx, f.nodeDir(), tarPath)
}

func (f folder) stopNode(ctx context.Context) error { return node.Stop(ctx, f.nodeDir()) }

// claimNetwork finds addresses that no other lab has and makes the network with them: the API server listens there.
func (u upper) claimNetwork(ctx context.Context, s *state) error {
	for from := 0; ; from = s.Index + 1 {
		index, err := node.FreeIndex(from)
		if err != nil {
			return err
		}
		addresses := node.Network(index)
		s.Real, s.Index, s.Address, s.ServiceCIDR = true, index, addresses.HostIP, addresses.ServiceCIDR
		err = node.SetupNetwork(ctx, u.nodeConfig(*s, pki.Files{}))
		if !errors.Is(err, node.ErrIndexTaken) {
			return err
		}
	}
}

func (u upper) nodeConfig(s state, certificates pki.Files) node.Config {
	return node.Config{
		Dir: u.nodeDir(), BinDir: s.BinDir, LabName: u.name, NodeName: nodeName,
		Index: s.Index, Addresses: node.Network(s.Index), Group: u.group(),
		KubeletKubeconfig: certificates.KubeletConfig, ProxyKubeconfig: certificates.ProxyConfig,
		ClientCA:    certificates.CA.Cert,
		ServingCert: certificates.KubeletServer.Cert, ServingKey: certificates.KubeletServer.Key,
	}
}

// startNode starts the real node, or gives the one that runs the images of a newer build. It may be called before the
// API server is ready: the kubelet tries again.
func (u upper) startNode(ctx context.Context, s *state) error {
	images, err := image.Standard(ctx, u.bin)
	if err != nil {
		return err
	}
	if u.nodeRuns() {
		if s.Images == images {
			return nil
		}
		u.say("loading images of a newer build into lab %s", u.name)
		s.Images = images
		return errors.Join(u.loadImage(ctx, images), u.save(*s))
	}
	// A node whose start was interrupted is started again from the beginning.
	if err := u.group().Stop(ctx, 0, nodeProcess); err != nil {
		return err
	}
	cfg := u.nodeConfig(*s, u.pki())
	cfg.Images = []string{images}
	if _, err := node.Start(ctx, cfg); err != nil {
		return err
	}
	s.Images = images
	if err := errors.Join(u.save(*s), u.markNode()); err != nil {
		return err
	}
	u.say("containerd is ready after %s", u.elapsed())
	return nil
}

// nodeRuns reports whether the real node runs and was started to the end.
func (f folder) nodeRuns() bool {
	pid, running := f.group().Running(nodeProcess)
	raw, err := os.ReadFile(f.nodeMark())
	return running && err == nil && string(raw) == strconv.Itoa(pid)
}

// markNode remembers that the process of the node that runs now was started to the end.
func (f folder) markNode() error {
	pid, _ := f.group().Running(nodeProcess)
	if err := os.WriteFile(f.nodeMark(), []byte(strconv.Itoa(pid)), 0o644); err != nil {
		return fmt.Errorf("remember that the node was started: %w", err)
	}
	return nil
}

func (f folder) nodeMark() string { return filepath.Join(f.nodeDir(), "started") }

// awaitNode sets up what runs on the real node and returns when the node and cluster DNS are ready.
// If it was started just now, what the API says of it is old until it has reported since.
func (u upper) awaitNode(ctx context.Context, l *Lab, client kubernetes.Interface, rebooted time.Time) error {
	config, err := l.RESTConfig()
	if err != nil {
		return err
	}
	waiting := func(err error) { u.say("waiting up to a minute for the address of cluster DNS: %s", err) }
	if err := dns.Apply(ctx, config, node.Network(l.state.Index).ClusterDNS, waiting); err != nil {
		return err
	}
	if err := awaitReady(ctx, client, rebooted); err != nil {
		return err
	}
	u.say("the real node is ready after %s", u.elapsed())
	if err := dns.Wait(ctx, config); err != nil {
		return err
	}
	if err := awaitNames(ctx, node.Network(l.state.Index).ClusterDNS); err != nil {
		return err
	}
	u.say("cluster DNS is ready after %s", u.elapsed())
	return nil
}

func awaitReady(ctx context.Context, client kubernetes.Interface, since time.Time) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		n, err := client.CoreV1().Nodes().Get(ctx, nodeName, metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("wait for the real node: %w", errors.Join(err, context.Cause(ctx)))
		}
		if err == nil && isReady(n, since) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the real node: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// isReady reports whether a node has said that it is ready, and has done so since a time.
func isReady(n *corev1.Node, since time.Time) bool {
	for _, condition := range n.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			// The API knows whole seconds only.
			fresh := !condition.LastHeartbeatTime.Time.Before(since.Truncate(time.Second))
			return condition.Status == corev1.ConditionTrue && fresh
		}
	}
	return false
}

// awaitNames waits until cluster DNS answers at its address: a Deployment counts as ready for a while after the node
// was restarted below it, and Services take a moment longer than their pods.
func awaitNames(ctx context.Context, clusterDNS string) error {
	resolver := &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(clusterDNS, "53"))
		},
	}
	for {
		err := lookUp(ctx, resolver)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for cluster DNS (%w): %w", err, context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func lookUp(ctx context.Context, resolver *net.Resolver) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err := resolver.LookupHost(ctx, "kubernetes.default.svc.cluster.local.")
	return err
}
