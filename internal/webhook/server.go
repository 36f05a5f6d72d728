// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"crypto/tls"
	"fmt"
	"net"
	"strconv"

	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"
)

// NewServer is a server of webhooks that listens at host:port, with a port above 0. Configure sets the certificate.
func NewServer(address string, configure func(*tls.Config)) (ctrlwebhook.Server, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen for admission at %q: %w", address, err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("listen for admission at %q: the port must be a number from 1 to 65535", address)
	}
	return ctrlwebhook.NewServer(ctrlwebhook.Options{Host: host, Port: int(port), TLSOpts: []func(*tls.Config){configure}}), nil
}
