// SPDX-License-Identifier: Apache-2.0

package certificate

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"testing"

	"k8s.io/client-go/util/cert"
)

// made is a key pair for a name, and its authority.
func made(t *testing.T, names ...string) (chain, key, ca []byte) {
	t.Helper()
	chain, key, err := cert.GenerateSelfSignedCertKey(names[0], nil, names[1:])
	if err != nil {
		t.Fatal(err)
	}
	all, err := cert.ParseCertsPEM(chain)
	if err != nil {
		t.Fatal(err)
	}
	ca, err = cert.EncodeCertificates(all[1])
	if err != nil {
		t.Fatal(err)
	}
	return chain, key, ca
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
			s, err := SelfSigned(tc.names, tc.ips)
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
	if _, err := SelfSigned(nil, nil); err == nil {
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
	changes := 0
	s := &Serving{changed: func() { changes++ }}
	chain, key, ca := made(t, "a.example")
	if fresh, err := s.take(chain, key, ca); !fresh || err != nil {
		t.Fatalf("new: %v, error %v", fresh, err)
	}
	if fresh, err := s.take(chain, key, ca); fresh || err != nil {
		t.Errorf("the same is new: %v, error %v", fresh, err)
	}
	_, foreign, _ := made(t, "a.example")
	for name, take := range map[string]func() (bool, error){
		"another's key":  func() (bool, error) { return s.take(bytes.Clone(foreign), key, ca) },
		"no certificate": func() (bool, error) { return s.take(nil, key, ca) },
		"no authority":   func() (bool, error) { return s.take(chain, key, []byte("nonsense")) },
	} {
		if fresh, err := take(); fresh || err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if err := visit(t, s, "a.example", ca); err != nil {
		t.Errorf("what was served with before is lost: %v", err)
	}
	chain2, key2, ca2 := made(t, "a.example")
	if fresh, err := s.take(chain2, key2, ca2); !fresh || err != nil {
		t.Fatalf("new: %v, error %v", fresh, err)
	}
	if err := visit(t, s, "a.example", ca2); err != nil {
		t.Error(err)
	}
	if err := visit(t, s, "a.example", ca); err == nil {
		t.Error("the old certificate is still served")
	}
	if !bytes.Equal(s.CA(), ca2) || changes != 2 {
		t.Errorf("the authority is the new one: %v; %d changes were told, want 2", bytes.Equal(s.CA(), ca2), changes)
	}
}
