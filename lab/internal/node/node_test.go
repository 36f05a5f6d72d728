// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/paia-tech/hotstandbyjob/lab/internal/nodeinit"
	"github.com/paia-tech/hotstandbyjob/lab/internal/process"
)

func TestAddressesOfLabsDiffer(t *testing.T) {
	var seen []netip.Prefix
	for index := range maxIndex + 1 {
		a := Network(index)
		services, pods := netip.MustParsePrefix(a.ServiceCIDR), netip.MustParsePrefix(a.PodCIDR)
		for _, ip := range []string{a.ClusterDNS, a.APIService} {
			if !services.Contains(netip.MustParseAddr(ip)) {
				t.Errorf("index %d: %s is not in the Services' range %s", index, ip, services)
			}
		}
		seen = append(seen, services, pods, netip.MustParsePrefix(a.HostIP+"/24").Masked())
	}
	for i, a := range seen {
		for _, b := range seen[i+1:] {
			if a.Overlaps(b) {
				t.Fatalf("%s and %s overlap", a, b)
			}
		}
	}
}

func TestAddressesInUseAreNotTaken(t *testing.T) {
	for cidr, want := range map[string]bool{
		"192.168.1.7/24": false,
		"10.90.3.77/24":  true,
		"10.91.3.1/32":   true,
		"10.0.0.5/8":     true, // a network that has all of ours in it
		"10.91.4.1/24":   false,
		"fe80::1/64":     false,
	} {
		ip, network, err := net.ParseCIDR(cidr)
		if err != nil {
			t.Fatal(err)
		}
		network.IP = ip // as the kernel lists an address: with the mask of its network
		if got := overlaps(Network(3), []net.Addr{network}); got != want {
			t.Errorf("overlaps with %s: %v, want %v", cidr, got, want)
		}
	}
}

func testConfig(t *testing.T) Config {
	t.Helper()
	dir := filepath.Join(t.TempDir(), `it's "here"`)
	if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	return Config{
		Dir: dir, BinDir: dir + "/bin", LabName: "test", NodeName: "node-0", Index: 7, Addresses: Network(7),
		Group:             process.Group{Run: dir + "/run", Logs: dir + "/logs", Mark: dir},
		KubeletKubeconfig: dir + "/kubelet.conf", ProxyKubeconfig: dir + "/proxy.conf", ClientCA: dir + "/ca.crt",
		ServingCert: dir + "/kubelet.crt", ServingKey: dir + "/kubelet.key",
	}
}

func TestFilesAreWellFormed(t *testing.T) {
	cfg := testConfig(t)
	if err := writeFiles(cfg); err != nil {
		t.Fatal(err)
	}
	var kubelet, proxy, cni map[string]any
	for file, into := range map[string]*map[string]any{"kubelet.yaml": &kubelet, "kube-proxy.yaml": &proxy, "cni/lab.conflist": &cni} {
		raw, err := os.ReadFile(filepath.Join(cfg.Dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalStrict(raw, into); err != nil {
			t.Errorf("%s: %v\n%s", file, err, raw)
		}
	}
	got := map[string]any{
		"cgroup": kubelet["cgroupRoot"], "certificate": kubelet["tlsCertFile"], "dns": kubelet["clusterDNS"],
		"pods": proxy["clusterCIDR"],
	}
	want := map[string]any{
		"cgroup": "/hsjlab7", "certificate": cfg.ServingCert, "dns": []any{"10.92.7.10"}, "pods": "10.91.7.0/24",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	raw, err := os.ReadFile(specPath(cfg.Dir))
	if err != nil {
		t.Fatal(err)
	}
	var spec nodeinit.Spec
	if err := json.Unmarshal(raw, &spec); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(programs(cfg), spec); diff != "" {
		t.Errorf("what process 1 reads (-want +got):\n%s", diff)
	}
}

func TestServingCertificateIsOptional(t *testing.T) {
	cfg := testConfig(t)
	cfg.ServingCert, cfg.ServingKey = "", ""
	if err := writeFiles(cfg); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(cfg.Dir, "kubelet.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), "tlsCertFile") {
		t.Error("the kubelet is told to use a certificate that there is none of")
	}
}

func TestStopOfWhatNeverStarted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "node")
	if err := Stop(t.Context(), dir); err != nil {
		t.Error(err)
	}
	// A command that was killed right after writing the record: the index may be another lab's.
	cfg := testConfig(t)
	if err := writeRecord(cfg, false); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := Stop(t.Context(), cfg.Dir); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(cfg.Dir); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func TestStopDoesNotGuess(t *testing.T) {
	cfg := testConfig(t)
	if err := os.WriteFile(recordPath(cfg.Dir), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Stop(t.Context(), cfg.Dir); err == nil {
		t.Error("a record that cannot be read was ignored: what it stands for would stay for ever")
	}
}
