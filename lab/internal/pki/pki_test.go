// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
)

func config(t *testing.T) Config {
	t.Helper()
	return Config{
		Dir: filepath.Join(t.TempDir(), "pki"), Cluster: "lab-x", ServerURL: "https://10.90.0.1:6443",
		ServerIPs: []netip.Addr{netip.MustParseAddr("10.90.0.1"), netip.MustParseAddr("10.92.0.1")},
		NodeName:  "node-0", NodeIP: "10.90.0.2",
	}
}

func ensure(t *testing.T, cfg Config) Files {
	t.Helper()
	f, err := Ensure(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// load reads a certificate and its key, which must belong together.
func load(t *testing.T, p Pair) *x509.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}

func verify(t *testing.T, ca Pair, p Pair, host string, usage x509.ExtKeyUsage) error {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(load(t, ca))
	_, err := load(t, p).Verify(x509.VerifyOptions{Roots: roots, DNSName: host, KeyUsages: []x509.ExtKeyUsage{usage}})
	return err
}

func TestServersAreTrustedForTheirAddresses(t *testing.T) {
	f := ensure(t, config(t))
	for name, tc := range map[string]struct {
		ca, pair Pair
		host     string
	}{
		"API server on loopback":             {f.CA, f.APIServer, "127.0.0.1"},
		"API server on the host's address":   {f.CA, f.APIServer, "10.90.0.1"},
		"API server by its Service":          {f.CA, f.APIServer, "10.92.0.1"},
		"API server by the Service's name":   {f.CA, f.APIServer, "kubernetes.default.svc.cluster.local"},
		"kubelet by the node's address":      {f.CA, f.KubeletServer, "10.90.0.2"},
		"kubelet by the node's name":         {f.CA, f.KubeletServer, "node-0"},
		"etcd":                               {f.EtcdCA, f.Etcd, "127.0.0.1"},
		"controller manager, on loopback":    {f.CA, f.ControllerManager, "127.0.0.1"},
		"scheduler, which is called as well": {f.CA, f.Scheduler, "localhost"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := verify(t, tc.ca, tc.pair, tc.host, x509.ExtKeyUsageServerAuth); err != nil {
				t.Error(err)
			}
			if err := verify(t, tc.ca, tc.pair, "10.1.1.1", x509.ExtKeyUsageServerAuth); err == nil {
				t.Error("trusted for an address that is not its own")
			}
		})
	}
}

func TestClientsAreTrustedByTheirAuthorityOnly(t *testing.T) {
	f := ensure(t, config(t))
	for name, tc := range map[string]struct{ ca, other, pair Pair }{
		"to kubelets":                        {f.CA, f.EtcdCA, f.KubeletClient},
		"to etcd":                            {f.EtcdCA, f.CA, f.EtcdClient},
		"to aggregated servers":              {f.FrontProxyCA, f.CA, f.FrontProxyClient},
		"etcd to its peers, with its server": {f.EtcdCA, f.CA, f.Etcd},
	} {
		t.Run(name, func(t *testing.T) {
			if err := verify(t, tc.ca, tc.pair, "", x509.ExtKeyUsageClientAuth); err != nil {
				t.Error(err)
			}
			if err := verify(t, tc.other, tc.pair, "", x509.ExtKeyUsageClientAuth); err == nil {
				t.Error("trusted by another authority too")
			}
		})
	}
	if err := verify(t, f.CA, f.APIServer, "", x509.ExtKeyUsageClientAuth); err == nil {
		t.Error("the API server's serving certificate passes for a client's")
	}
}

func TestKubeconfigsSayWhoTheirUsersAre(t *testing.T) {
	f := ensure(t, config(t))
	for path, want := range map[string]struct{ user, group string }{
		f.Admin:                   {"admin", "system:masters"},
		f.ControllerManagerConfig: {"system:kube-controller-manager", ""},
		f.SchedulerConfig:         {"system:kube-scheduler", ""},
		f.KwokConfig:              {KwokUser, ""},
		f.KubeletConfig:           {"system:node:node-0", "system:nodes"},
		f.ProxyConfig:             {"system:kube-proxy", ""},
	} {
		rest, err := clientcmd.BuildConfigFromFlags("", path)
		if err != nil {
			t.Errorf("read %s: %v", path, err)
			continue
		}
		pair, err := tls.X509KeyPair(rest.CertData, rest.KeyData)
		if err != nil {
			t.Errorf("read %s: %v", path, err)
			continue
		}
		subject := pair.Leaf.Subject
		group := ""
		if len(subject.Organization) > 0 {
			group = subject.Organization[0]
		}
		if subject.CommonName != want.user || group != want.group || rest.Host != "https://10.90.0.1:6443" {
			t.Errorf("%s is for %q of %q at %s, want %q of %q", path, subject.CommonName, group, rest.Host, want.user, want.group)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v (%v), want nobody else to read it", path, info.Mode(), err)
		}
	}
}

func TestEnsureKeepsWhatIsWholeAndRemakesWhatIsNot(t *testing.T) {
	cfg := config(t)
	f := ensure(t, cfg)
	first := load(t, f.CA).SerialNumber
	if again := load(t, ensure(t, cfg).CA).SerialNumber; again.Cmp(first) != 0 {
		t.Error("a second call made another authority: whoever has certificates of the first is locked out")
	}
	// As if the first call had been killed before its end.
	if err := os.Remove(filepath.Join(cfg.Dir, "complete")); err != nil {
		t.Fatal(err)
	}
	f = ensure(t, cfg)
	if load(t, f.CA).SerialNumber.Cmp(first) == 0 {
		t.Error("half-made files were kept")
	}
	if err := verify(t, f.CA, f.APIServer, "127.0.0.1", x509.ExtKeyUsageServerAuth); err != nil {
		t.Errorf("the new files don't fit together: %v", err)
	}
}

func TestWithoutANodeThereIsNothingForIt(t *testing.T) {
	cfg := config(t)
	cfg.NodeName, cfg.NodeIP = "", ""
	f := ensure(t, cfg)
	for _, path := range []string{f.KubeletServer.Key, f.KubeletConfig, f.ProxyConfig} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s was made", path)
		}
	}
}
