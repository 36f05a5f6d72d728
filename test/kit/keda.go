// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

const (
	// kedaVariable is the environment variable that has KEDA built where it isn't yet: a quarter of an hour on two cores.
	kedaVariable = "HSJ_KEDA"
	// kedaProgramsVariable is the one that names a folder with its programs, operator and adapter.
	kedaProgramsVariable = "HSJ_KEDA_PROGRAMS"
)

// keda is KEDA as test/keda pins it: its module's folder, and that of its programs. The test is skipped where they aren't
// built and building them wasn't asked for.
func keda(t testing.TB) (module, programs string) {
	t.Helper()
	download := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", "github.com/kedacore/keda/v2")
	download.Dir = filepath.Join(Root(), "test", "keda")
	out, err := download.Output()
	var m struct{ Dir, Version string }
	if err == nil {
		err = json.Unmarshal(out, &m)
	}
	if err != nil {
		t.Fatalf("download KEDA's module: %v\n%s", err, out)
	}
	if programs = os.Getenv(kedaProgramsVariable); programs != "" {
		return m.Dir, programs
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	programs = filepath.Join(cache, "hotstandbyjob", "keda", m.Version)
	if _, err := os.Stat(programs); err == nil {
		return m.Dir, programs
	}
	if os.Getenv(kedaVariable) == "" {
		t.Skipf("KEDA isn't built: set %s=1 to have it built, once, into %s, which takes a quarter of an hour", kedaVariable, programs)
	}
	buildKEDA(t, m.Dir, programs)
	return m.Dir, programs
}

// buildKEDA builds KEDA's programs from its module into a folder, which is there only when they all are.
func buildKEDA(t testing.TB, module, programs string) {
	t.Helper()
	t.Logf("building KEDA from %s, this once", filepath.Base(module))
	if err := os.MkdirAll(filepath.Dir(programs), 0o755); err != nil {
		t.Fatal(err)
	}
	temp, err := os.MkdirTemp(filepath.Dir(programs), "building-") //nolint:usetesting // it is renamed to its place, so it must be on that file system
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(temp) }()
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", temp+"/", "./cmd/operator", "./cmd/adapter")
	build.Dir = module
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build KEDA: %v\n%s", err, out)
	}
	if err := os.Rename(temp, programs); err != nil {
		t.Fatal(err)
	}
}

// KEDA runs KEDA for the namespace until the test ends: its operator and its API of external metrics, as processes on this
// machine.
func (e *Env) KEDA() {
	e.T.Helper()
	module, programs := keda(e.T)
	e.installKEDA(filepath.Join(module, "config", "crd", "bases"))
	certificates := kedaCertificates(e.T)
	service, probe, metrics, api := FreeLoopback(e.T), FreeLoopback(e.T), FreeLoopback(e.T), FreeLoopback(e.T)
	e.runKEDA(filepath.Join(programs, "operator"),
		"--leader-elect=false", "--metrics-bind-address=0", "--health-probe-bind-address="+probe,
		"--metrics-service-bind-address="+service, "--cert-dir="+certificates,
		"--enable-webhook-patching=false", "--enable-apiservice-patching=false")
	e.runKEDA(filepath.Join(programs, "adapter"),
		"--bind-address=127.0.0.1", "--secure-port="+portOf(e.T, api), "--port="+portOf(e.T, metrics),
		"--metrics-service-address="+service, "--cert-dir="+certificates,
		"--tls-cert-file="+filepath.Join(certificates, "tls.crt"), "--tls-private-key-file="+filepath.Join(certificates, "tls.key"),
		"--authentication-kubeconfig="+e.Lab.Kubeconfig(), "--authorization-kubeconfig="+e.Lab.Kubeconfig(),
		"--lister-kubeconfig="+e.Lab.Kubeconfig())
	e.AddExternalMetrics(api)
}

// installKEDA adds KEDA's kinds until the test ends.
func (e *Env) installKEDA(folder string) {
	e.T.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil || len(files) == 0 {
		e.T.Fatalf("KEDA's kinds: %v, %v", files, err)
	}
	var names []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			e.T.Fatal(err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(text, crd); err != nil {
			e.T.Fatal(err)
		}
		e.CreateClusterWide(crd)
		names = append(names, crd.Name)
	}
	e.Await("KEDA's kinds are served", func(g gomega.Gomega) {
		for _, name := range names {
			crd := &apiextensionsv1.CustomResourceDefinition{}
			g.Expect(e.Client.Get(e.T.Context(), client.ObjectKey{Name: name}, crd)).To(gomega.Succeed())
			g.Expect(crd.Status.Conditions).To(gomega.ContainElement(gomega.And(
				gomega.HaveField("Type", apiextensionsv1.Established), gomega.HaveField("Status", apiextensionsv1.ConditionTrue))))
		}
	})
}

// runKEDA runs a program of KEDA until the test ends. Its log is shown if the test fails.
func (e *Env) runKEDA(program string, args ...string) {
	e.T.Helper()
	log := &output{}
	command := exec.CommandContext(context.WithoutCancel(e.T.Context()), program, args...)
	// It changes objects of its cache, for which the detector that our tests run with would have it panic.
	command.Env = append(os.Environ(), "KUBECONFIG="+e.Lab.Kubeconfig(), "WATCH_NAMESPACE="+e.Namespace,
		"POD_NAMESPACE="+e.Namespace, "KEDA_CLUSTER_OBJECT_NAMESPACE="+e.Namespace, "KUBE_CACHE_MUTATION_DETECTOR=false")
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		e.T.Fatalf("start KEDA: %v", err)
	}
	e.T.Cleanup(func() {
		_ = command.Process.Kill() // it may have ended
		_ = command.Wait()
		if e.T.Failed() {
			e.T.Logf("log of KEDA's %s:\n%s", filepath.Base(program), log.String())
		}
	})
}

// kedaCertificates is a folder with the certificate by which KEDA's two programs know one another.
func kedaCertificates(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	folder, certificate := t.TempDir(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
	for name, text := range map[string][]byte{
		"ca.crt": certificate, "tls.crt": certificate, "tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// FreeLoopback is host:port on which this machine alone can reach itself, and nobody listens.
func FreeLoopback(t testing.TB) string {
	t.Helper()
	var config net.ListenConfig
	listen, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listen.Close() }()
	return listen.Addr().String()
}

func portOf(t testing.TB, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}
