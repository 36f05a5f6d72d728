// SPDX-License-Identifier: Apache-2.0

// Package pki makes the certificates, keys and kubeconfigs of a lab. It makes them once: a lab that is brought up again
// finds them.
package pki

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
)

// Config says who the certificates are for.
type Config struct {
	// Dir is the folder that the files go to.
	Dir string
	// Cluster names the cluster in kubeconfigs.
	Cluster string
	// ServerURL is where the API server is.
	ServerURL string
	// ServerIPs are the addresses that the API server is reached by.
	ServerIPs []netip.Addr
	// NodeName and NodeIP are those of the real node, empty if there is none.
	NodeName, NodeIP string
}

// Pair names a certificate and its key.
type Pair struct{ Cert, Key string }

// Files names everything that Ensure makes.
type Files struct {
	// CA signs clients and servers, FrontProxyCA the API server's requests to aggregated servers, EtcdCA etcd's peers.
	CA, FrontProxyCA, EtcdCA Pair
	// APIServer, KubeletServer, ControllerManager, Scheduler and Etcd are serving certificates.
	APIServer, KubeletServer, ControllerManager, Scheduler, Etcd Pair
	// KubeletClient, FrontProxyClient and EtcdClient are what the API server shows to others.
	KubeletClient, FrontProxyClient, EtcdClient Pair
	// ServiceAccount is the key pair that signs service account tokens; Cert is the public key.
	ServiceAccount Pair

	// The kubeconfigs.
	Admin, ControllerManagerConfig, SchedulerConfig, KwokConfig, KubeletConfig, ProxyConfig string
}

// KwokUser is the name by which kwok is known to RBAC.
const KwokUser = "lab:kwok"

// Locate names the files without making them.
func Locate(dir string) Files {
	pair := func(name string) Pair {
		return Pair{Cert: filepath.Join(dir, name+".crt"), Key: filepath.Join(dir, name+".key")}
	}
	kubeconfig := func(name string) string { return filepath.Join(dir, name+".kubeconfig") }
	return Files{
		CA: pair("ca"), FrontProxyCA: pair("front-proxy-ca"), EtcdCA: pair("etcd-ca"),
		APIServer: pair("kube-apiserver"), KubeletServer: pair("kubelet"), Etcd: pair("etcd"),
		ControllerManager: pair("kube-controller-manager"), Scheduler: pair("kube-scheduler"),
		KubeletClient: pair("kube-apiserver-kubelet-client"), FrontProxyClient: pair("front-proxy-client"),
		EtcdClient:     pair("kube-apiserver-etcd-client"),
		ServiceAccount: Pair{Cert: filepath.Join(dir, "service-account.pub"), Key: filepath.Join(dir, "service-account.key")},

		Admin:                   filepath.Join(filepath.Dir(dir), "kubeconfig"),
		ControllerManagerConfig: kubeconfig("kube-controller-manager"),
		SchedulerConfig:         kubeconfig("kube-scheduler"),
		KwokConfig:              kubeconfig("kwok"),
		KubeletConfig:           kubeconfig("kubelet"),
		ProxyConfig:             kubeconfig("kube-proxy"),
	}
}

// Ensure makes the files unless an earlier call has made all of them.
func Ensure(cfg Config) (Files, error) {
	f := Locate(cfg.Dir)
	// The marker is written last: files of a call that was killed half-way are made again, all of them, because those
	// of two authorities do not fit together.
	marker := filepath.Join(cfg.Dir, "complete")
	if _, err := os.Stat(marker); err == nil {
		return f, nil
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return f, fmt.Errorf("create certificates: %w", err)
	}
	if err := f.generate(cfg); err != nil {
		return f, fmt.Errorf("create certificates: %w", err)
	}
	if err := os.WriteFile(marker, nil, 0o600); err != nil {
		return f, fmt.Errorf("create certificates: %w", err)
	}
	return f, nil
}

func (f Files) generate(cfg Config) error {
	cluster, err := newAuthority("hotstandbyjob-lab", f.CA)
	if err != nil {
		return err
	}
	frontProxy, err := newAuthority("hotstandbyjob-lab-front-proxy", f.FrontProxyCA)
	if err != nil {
		return err
	}
	etcd, err := newAuthority("hotstandbyjob-lab-etcd", f.EtcdCA)
	if err != nil {
		return err
	}
	if err := f.servers(cfg, cluster, etcd); err != nil {
		return err
	}
	clients := []struct {
		by   *authority
		pair Pair
		who  identity
	}{
		{cluster, f.KubeletClient, identity{name: "kube-apiserver-kubelet-client", groups: []string{"system:masters"}}},
		{frontProxy, f.FrontProxyClient, identity{name: "front-proxy-client"}},
		{etcd, f.EtcdClient, identity{name: "kube-apiserver"}},
	}
	for _, c := range clients {
		if err := c.by.issue(c.pair, c.who); err != nil {
			return err
		}
	}
	if err := newKeyPair(f.ServiceAccount); err != nil {
		return err
	}
	return f.kubeconfigs(cfg, cluster)
}

func (f Files) servers(cfg Config, cluster, etcd *authority) error {
	loopback := netip.MustParseAddr("127.0.0.1")
	local := identity{name: "localhost", hosts: []string{"localhost"}, ips: []netip.Addr{loopback}}
	for _, pair := range []Pair{f.ControllerManager, f.Scheduler} {
		if err := cluster.issue(pair, local); err != nil {
			return err
		}
	}
	// The peers of etcd use its serving certificate for both directions.
	if err := etcd.issue(f.Etcd, identity{name: "etcd", hosts: local.hosts, ips: local.ips, peer: true}); err != nil {
		return err
	}
	server := identity{
		name: "kube-apiserver",
		hosts: []string{
			"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		},
		ips: append([]netip.Addr{loopback}, cfg.ServerIPs...),
	}
	if err := cluster.issue(f.APIServer, server); err != nil {
		return err
	}
	if cfg.NodeName == "" {
		return nil
	}
	ip, err := netip.ParseAddr(cfg.NodeIP)
	if err != nil {
		return fmt.Errorf("parse the node's address: %w", err)
	}
	return cluster.issue(f.KubeletServer, identity{
		name: "system:node:" + cfg.NodeName, groups: []string{"system:nodes"},
		hosts: []string{cfg.NodeName}, ips: []netip.Addr{ip},
	})
}
