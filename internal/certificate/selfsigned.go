// SPDX-License-Identifier: Apache-2.0

package certificate

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"time"

	"k8s.io/client-go/util/cert"
)

// lifetime is how long a certificate in memory is valid: longer than any process lives, since it isn't rotated.
const lifetime = 10 * 365 * 24 * time.Hour

// SelfSigned makes a certificate that lives as long as the process, for DNS names and IP addresses.
func SelfSigned(names []string, ips []net.IP) (*Serving, error) {
	if len(names)+len(ips) == 0 {
		return nil, errors.New("make a certificate: it needs a name or an address")
	}
	o := cert.SelfSignedCertKeyOptions{MaxAge: lifetime, AlternateIPs: ips}
	if len(names) > 0 {
		o.Host, o.AlternateDNS = names[0], names[1:]
	} else {
		o.Host, o.AlternateIPs = ips[0].String(), ips[1:]
	}
	chain, key, err := cert.GenerateSelfSignedCertKeyWithOptions(o)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	_, ca := pem.Decode(chain) // the authority's follows the server's
	s := &Serving{}
	if _, err := s.take(chain, key, ca); err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	return s, nil
}
