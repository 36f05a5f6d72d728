// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestServerServesUntilItIsStopped(t *testing.T) {
	certificates := httptest.NewTLSServer(nil)
	certificates.Close()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{
		Handler: serve(t), Listener: listener, Log: slog.New(slog.DiscardHandler),
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificates.TLS.Certificates[0], nil },
	}
	if !s.NeedLeaderElection() {
		t.Error("who doesn't lead serves, too")
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- s.Start(ctx) }()

	trusted := x509.NewCertPool()
	trusted.AddCert(certificates.Certificate())
	c := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: trusted}}}
	get := func(token string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+listener.Addr().String()+"/api/v1/pools", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		response, err := c.Do(r)
		if err != nil {
			return 0
		}
		defer func() { _ = response.Body.Close() }()
		if response.ProtoMajor != 2 {
			t.Errorf("it speaks %s", response.Proto)
		}
		return response.StatusCode
	}
	if code := get("root"); code != http.StatusOK {
		t.Errorf("status %d", code)
	}
	if code := get(strings.Repeat("x", 128<<10)); code == http.StatusOK {
		t.Errorf("a header without end: status %d", code)
	}
	c.CloseIdleConnections()
	cancel()
	if err := <-stopped; err != nil {
		t.Errorf("it stopped with %v", err)
	}
	c.CloseIdleConnections()
}

func TestServerSaysWhyItCannotServe(t *testing.T) {
	s := &Server{Address: "127.0.0.1:99999", Log: slog.New(slog.DiscardHandler)}
	if err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "serve the page") {
		t.Errorf("the error is %v", err)
	}
}
