// SPDX-License-Identifier: Apache-2.0

package certificate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"k8s.io/client-go/util/keyutil"
)

// quicker is a certificate for whom another one is for, and as long, with an ECDSA key that never leaves the process: with the RSA
// key that the rotator makes a handshake takes twice as long (BenchmarkHandshake), and every pod makes one when the
// operator has started.
func quicker(like *x509.Certificate, ca, caKey []byte) (*tls.Certificate, error) {
	authority, err := parse(ca)
	if err != nil {
		return nil, fmt.Errorf("read the authority's certificate: %w", err)
	}
	found, err := keyutil.ParsePrivateKeyPEM(caKey)
	if err != nil {
		return nil, fmt.Errorf("read the authority's key: %w", err)
	}
	signer, ok := found.(crypto.Signer)
	if !ok {
		return nil, errors.New("read the authority's key: it can't sign")
	}
	return sign(like, authority, signer)
}

// sign has an authority sign a certificate like another one, for a new ECDSA key.
func sign(like, authority *x509.Certificate, signer crypto.Signer) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		Subject: like.Subject, DNSNames: like.DNSNames, IPAddresses: like.IPAddresses,
		NotBefore: like.NotBefore, NotAfter: like.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}, authority, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}
