// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	dialTimeout = 5 * time.Second
	// idleTimeout closes the connection once there is no stream on it, which is after a launch.
	idleTimeout = 5 * time.Second
	service     = "/hsj.standby.v1.Standby/"
)

// gateway is the client of the operator's Standby service.
type gateway struct {
	url, launchDir string
	http           *http.Client
	transport      *http.Transport
}

// newGateway connects at the first request. The pod's token and the gateway's certificate authority are read whenever
// they are needed: the kubelet renews them.
func newGateway(c Config) *gateway {
	g := &gateway{url: strings.TrimSuffix(c.GatewayURL, "/") + service, launchDir: c.LaunchDir}
	g.transport = &http.Transport{
		DialTLSContext:     g.dial, // and no Proxy: HTTPS_PROXY in the environment is meant for the workload
		ForceAttemptHTTP2:  true,   // one connection for the stream and the reports
		DisableCompression: true,
		IdleConnTimeout:    idleTimeout,
		HTTP2:              &http.HTTP2Config{SendPingTimeout: c.PingInterval, PingTimeout: c.PingTimeout},
	}
	g.http = &http.Client{
		Transport:     g.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return g
}

// close ends the connection, once nothing uses it any more.
func (g *gateway) close() { g.transport.CloseIdleConnections() }

func (g *gateway) dial(ctx context.Context, network, address string) (net.Conn, error) {
	pem, err := os.ReadFile(filepath.Join(g.launchDir, "gateway-ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("read the gateway's certificate authority: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("gateway-ca.crt has no certificate")
	}
	dialer := tls.Dialer{
		NetDialer: &net.Dialer{Timeout: dialTimeout},
		Config:    &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}},
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return dialer.DialContext(ctx, network, address)
}

// attach opens the stream. It lasts until the context ends.
func (g *gateway) attach(ctx context.Context, a activity) (io.ReadCloser, error) {
	message, err := json.Marshal(request{a})
	if err != nil {
		return nil, fmt.Errorf("attach: %w", err)
	}
	response, err := g.post(ctx, "Attach", "application/connect+json", envelope(message))
	if err != nil {
		return nil, fmt.Errorf("attach: %w", err)
	}
	return response.Body, nil
}

// report tells what the pod is doing.
func (g *gateway) report(ctx context.Context, a activity) error {
	message, err := json.Marshal(request{a})
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	response, err := g.post(ctx, "Report", "application/json", message)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	// The connection is used again only for a response that was read to its end.
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, largestMessage))
	return errors.Join(err, response.Body.Close())
}

// post returns the response if it is a good one; its body is to be closed.
func (g *gateway) post(ctx context.Context, method, contentType string, body []byte) (*http.Response, error) {
	token, err := os.ReadFile(filepath.Join(g.launchDir, "token"))
	if err != nil {
		return nil, fmt.Errorf("read the pod's token: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+method, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+string(bytes.TrimSpace(token)))
	r.Header.Set("Connect-Protocol-Version", "1")
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("User-Agent", "hsj-standby")
	response, err := g.http.Do(r)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer func() { _ = response.Body.Close() }()
	return nil, refusal(response)
}

// refusal is the error in a response: the gateway's own, or what something in between has made of it.
func refusal(response *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err != nil {
		return fmt.Errorf("HTTP status %s: %w", response.Status, err)
	}
	var e rpcError
	if json.Unmarshal(text, &e) == nil && e.Code != "" {
		return &e
	}
	return fmt.Errorf("HTTP status %s", response.Status)
}
