// SPDX-License-Identifier: Apache-2.0

// Package certificate has the certificate that the webhook and the gateway serve with: made, kept in a Secret and
// rotated by the operator, or made in memory where there is no such Secret.
package certificate

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
)

// ErrNone is why a connection is refused before there is a certificate.
var ErrNone = errors.New("there is no certificate yet")

// Serving is the certificate as it is at the moment. It can be used by many at once.
type Serving struct {
	current atomic.Pointer[pair]
	// told says whether the API server knows whom to trust; nil: it is no concern of ours.
	told func(context.Context) error
}

type pair struct {
	certificate *tls.Certificate
	chain, ca   []byte // in PEM
}

// keys are what a Secret holds, in PEM.
type keys struct {
	chain, key []byte
	ca, caKey  []byte // caKey may be empty, where the authority is somebody else's
}

// CA returns the certificate of the authority that clients should trust, in PEM; nil while there is none. Do not change
// it.
func (s *Serving) CA() []byte {
	if p := s.current.Load(); p != nil {
		return p.ca
	}
	return nil
}

// GetCertificate is that of a tls.Config.
func (s *Serving) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if p := s.current.Load(); p != nil {
		return p.certificate, nil
	}
	return nil, ErrNone
}

// Configure makes a server serve with the certificate.
func (s *Serving) Configure(c *tls.Config) {
	c.MinVersion = tls.VersionTLS12
	c.GetCertificate = s.GetCertificate
}

// Ready is a readiness check: whether there is a certificate, and the API server knows whom to trust. Before that it would
// pass the webhook by, and Jobs that are created as soon as the operator is ready would run as ordinary Jobs.
func (s *Serving) Ready(r *http.Request) error {
	if s.current.Load() == nil {
		return ErrNone
	}
	if s.told == nil {
		return nil
	}
	return s.told(r.Context())
}

// take serves with a key pair from now on, if it is a complete one, and says whether it is new. What was served with
// before stays otherwise. With the authority's key it serves with a quicker one.
func (s *Serving) take(k keys) (bool, error) {
	if old := s.current.Load(); old != nil && bytes.Equal(old.chain, k.chain) && bytes.Equal(old.ca, k.ca) {
		return false, nil
	}
	if !x509.NewCertPool().AppendCertsFromPEM(k.ca) {
		return false, errors.New("the authority's certificate can't be read")
	}
	kept, err := tls.X509KeyPair(k.chain, k.key)
	if err != nil {
		return false, fmt.Errorf("read the key pair: %w", err)
	}
	certificate := &kept
	if len(k.caKey) > 0 {
		if certificate, err = quicker(kept.Leaf, k.ca, k.caKey); err != nil {
			return false, err
		}
	}
	s.current.Store(&pair{certificate: certificate, chain: bytes.Clone(k.chain), ca: bytes.Clone(k.ca)})
	return true, nil
}

// parse reads the first certificate of a chain.
func parse(chain []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(chain)
	if block == nil {
		return nil, errors.New("it isn't PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}
