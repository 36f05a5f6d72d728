// SPDX-License-Identifier: Apache-2.0

package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"time"

	"k8s.io/client-go/util/cert"
)

// SelfSigned makes a certificate that lives as long as the process, for DNS names and IP addresses. It is valid for some ten
// years, longer than any process lives, since it isn't rotated.
func SelfSigned(now time.Time, names []string, ips []net.IP) (*Serving, error) {
	if len(names)+len(ips) == 0 {
		return nil, errors.New("make a certificate: it needs a name or an address")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	// The clock of whoever connects may be behind.
	ca, err := cert.NewSelfSignedCACert(cert.Config{CommonName: authority, NotBefore: now.Add(-time.Hour)}, key)
	if err != nil {
		return nil, fmt.Errorf("make an authority: %w", err)
	}
	encoded, err := cert.EncodeCertificates(ca)
	if err != nil {
		return nil, fmt.Errorf("make an authority: %w", err)
	}
	certificate, err := sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "hotstandbyjob"}, DNSNames: names, IPAddresses: ips, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
	}, ca, key)
	if err != nil {
		return nil, err
	}
	s := &Serving{}
	s.current.Store(&pair{certificate: certificate, ca: encoded})
	return s, nil
}
