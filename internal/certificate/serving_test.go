// SPDX-License-Identifier: Apache-2.0

package certificate

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// made is what the rotator writes: an authority, and a certificate for names, with RSA keys.
func made(t testing.TB, names ...string) keys {
	t.Helper()
	caKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := cert.NewSelfSignedCACert(cert.Config{CommonName: authority}, caKey)
	if err != nil {
		t.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		DNSNames: names, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter.Add(-time.Hour),
	}, ca, key.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	text := func(k *rsa.PrivateKey) []byte {
		text, err := keyutil.MarshalPrivateKeyToPEM(k)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	return keys{
		chain: pem.EncodeToMemory(&pem.Block{Type: cert.CertificateBlockType, Bytes: leaf}), key: text(key),
		ca: pem.EncodeToMemory(&pem.Block{Type: cert.CertificateBlockType, Bytes: ca.Raw}), caKey: text(caKey),
	}
}

// visit asks a server that serves with a certificate, by a name, and trusts an authority.
func visit(t *testing.T, s *Serving, name string, ca []byte) error {
	t.Helper()
	config := &tls.Config{}
	s.Configure(config)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		if connection, err := listener.Accept(); err == nil {
			_ = connection.(*tls.Conn).HandshakeContext(t.Context()) // clients that don't trust it are part of the test
			_ = connection.Close()
		}
	}()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: name, MinVersion: tls.VersionTLS12}}
	connection, err := dialer.DialContext(t.Context(), "tcp", listener.Addr().String())
	if err == nil {
		_ = connection.Close()
	}
	return err
}

func TestSelfSigned(t *testing.T) {
	for name, tc := range map[string]struct {
		names  []string
		ips    []net.IP
		visits []string
	}{
		"names":     {names: []string{"a.example", "b.example"}, visits: []string{"a.example", "b.example"}},
		"addresses": {ips: []net.IP{net.ParseIP("10.0.0.1"), net.IPv6loopback}, visits: []string{"10.0.0.1", "::1"}},
		"both":      {names: []string{"a.example"}, ips: []net.IP{net.ParseIP("10.0.0.1")}, visits: []string{"a.example", "10.0.0.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := SelfSigned(time.Now(), tc.names, tc.ips)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Ready(nil); err != nil {
				t.Error(err)
			}
			for _, host := range tc.visits {
				if err := visit(t, s, host, s.CA()); err != nil {
					t.Errorf("%s: %v", host, err)
				}
			}
			if err := visit(t, s, "other.example", s.CA()); err == nil {
				t.Error("it is good for any name")
			}
		})
	}
	if _, err := SelfSigned(time.Now(), nil, nil); err == nil {
		t.Error("a certificate for nobody was made")
	}
}

func TestServingBeforeThereIsACertificate(t *testing.T) {
	s := &Serving{}
	if err := s.Ready(nil); !errors.Is(err, ErrNone) {
		t.Errorf("ready: %v", err)
	}
	if s.CA() != nil {
		t.Error("there is an authority")
	}
	if _, err := s.GetCertificate(nil); !errors.Is(err, ErrNone) {
		t.Errorf("the certificate: %v", err)
	}
}

func TestANewCertificateIsServedAtOnce(t *testing.T) {
	s := &Serving{}
	first := made(t, "a.example")
	if fresh, err := s.take(first); !fresh || err != nil {
		t.Fatalf("new: %v, error %v", fresh, err)
	}
	if fresh, err := s.take(first); fresh || err != nil {
		t.Errorf("the same is new: %v, error %v", fresh, err)
	}
	second := made(t, "a.example")
	for name, change := range map[string]func(*keys){
		"another's certificate":       func(k *keys) { k.chain = second.chain },
		"no certificate":              func(k *keys) { k.chain = nil },
		"no authority":                func(k *keys) { k.ca = []byte("nonsense") },
		"another authority's key":     func(k *keys) { k.ca, k.caKey = second.ca, first.caKey },
		"no key of the new authority": func(k *keys) { k.ca, k.caKey = second.ca, []byte("nonsense") },
	} {
		k := first
		change(&k)
		if fresh, err := s.take(k); fresh || err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if err := visit(t, s, "a.example", first.ca); err != nil {
		t.Errorf("what was served with before is lost: %v", err)
	}
	if fresh, err := s.take(second); !fresh || err != nil {
		t.Fatalf("new: %v, error %v", fresh, err)
	}
	if err := visit(t, s, "a.example", second.ca); err != nil {
		t.Error(err)
	}
	if err := visit(t, s, "a.example", first.ca); err == nil {
		t.Error("the old certificate is still served")
	}
	if !bytes.Equal(s.CA(), second.ca) {
		t.Error("the authority isn't the new one")
	}
}

// The authority's key makes an ECDSA certificate in the place of the RSA one, for the same names and the same time; where it is
// somebody else's there is none, and what the Secret holds is served with.
func TestWhatIsServedWith(t *testing.T) {
	k := made(t, "a.example", "b.example")
	kept, err := parse(k.chain)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		caKey []byte
		want  x509.PublicKeyAlgorithm
	}{
		"with the authority's key": {k.caKey, x509.ECDSA},
		"without":                  {nil, x509.RSA},
	} {
		t.Run(name, func(t *testing.T) {
			s, k := &Serving{}, k
			k.caKey = tc.caKey
			if _, err := s.take(k); err != nil {
				t.Fatal(err)
			}
			c, err := s.GetCertificate(nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.Leaf.PublicKeyAlgorithm != tc.want {
				t.Errorf("the key is for %v, want %v", c.Leaf.PublicKeyAlgorithm, tc.want)
			}
			if !slices.Equal(c.Leaf.DNSNames, kept.DNSNames) || !c.Leaf.NotAfter.Equal(kept.NotAfter) || !c.Leaf.NotBefore.Equal(kept.NotBefore) {
				t.Errorf("it is for %v until %v, want %v until %v", c.Leaf.DNSNames, c.Leaf.NotAfter, kept.DNSNames, kept.NotAfter)
			}
			for _, host := range kept.DNSNames {
				if err := visit(t, s, host, k.ca); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// BenchmarkHandshake compares handshakes with what the rotator makes and with what is served with.
func BenchmarkHandshake(b *testing.B) {
	for name, algorithm := range map[string]func(*keys){"RSA": func(k *keys) { k.caKey = nil }, "ECDSA": func(*keys) {}} {
		b.Run(name, func(b *testing.B) {
			k := made(b, "a.example")
			algorithm(&k)
			s := &Serving{}
			if _, err := s.take(k); err != nil {
				b.Fatal(err)
			}
			config := &tls.Config{}
			s.Configure(config)
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(k.ca)
			for b.Loop() {
				near, far := net.Pipe()
				go func() { _ = tls.Server(far, config).HandshakeContext(b.Context()) }()
				if err := tls.Client(near, &tls.Config{RootCAs: roots, ServerName: "a.example", MinVersion: tls.VersionTLS12}).HandshakeContext(b.Context()); err != nil {
					b.Fatal(err)
				}
				_ = near.Close()
			}
		})
	}
}
