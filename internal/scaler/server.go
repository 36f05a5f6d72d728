// SPDX-License-Identifier: Apache-2.0

package scaler

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/paia-tech/hotstandbyjob/internal/serving"
)

// Server serves KEDA while this process leads.
type Server struct {
	Handler  http.Handler
	Address  string       // such as :7445
	Listener net.Listener // in place of an address
	// GetCertificate is what it is known by; nil: it is served without TLS.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// ClientCA is a file with the certificates, in PEM, of the authorities for clients' certificates; empty: anybody may
	// ask. It is read at each connection, so that it can be replaced.
	ClientCA string
	Log      *slog.Logger
}

// NeedLeaderElection says that the leader alone serves: what waits and what was launched is known there.
func (s *Server) NeedLeaderElection() bool { return true }

const (
	readTimeout     = 10 * time.Second
	idleTimeout     = 5 * time.Minute
	shutdownTimeout = 2 * time.Second // for what is being answered; streams are ended at once
	// A peer that is silent for so long is asked whether it still is there, and has as long to answer.
	pingAfter, pingTimeout = 30 * time.Second, 10 * time.Second
	// maxStreams of one connection: KEDA has one for all its triggers of type external-push.
	maxStreams = 10_000
)

// Start serves until ctx is done. Then all streams are ended, so that KEDA asks whoever leads next.
func (s *Server) Start(ctx context.Context) error {
	if s.ClientCA != "" {
		if _, err := authorities(s.ClientCA); err != nil {
			return fmt.Errorf("serve KEDA: %w", err)
		}
	}
	base, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	return serving.Server{
		HTTP: s.server(base), What: "KEDA", Address: s.Address, Listener: s.Listener, Grace: shutdownTimeout,
		Listening: func(at net.Addr) {
			s.Log.Info("the scaler serves KEDA", "address", at.String(), "tls", s.GetCertificate != nil, "clientCertificates", s.ClientCA != "")
		},
		Stopping: func() { stop(errStopping) },
	}.Until(ctx)
}

// server speaks HTTP/2, which gRPC needs, and nothing older.
func (s *Server) server(base context.Context) *http.Server {
	server := &http.Server{
		Handler:           s.Handler,
		Protocols:         new(http.Protocols),
		BaseContext:       func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: readTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug), // port scanners and the like
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, SendPingTimeout: pingAfter, PingTimeout: pingTimeout, WriteByteTimeout: pingAfter,
		},
	}
	if s.GetCertificate == nil {
		server.Protocols.SetUnencryptedHTTP2(true)
		return server
	}
	server.Protocols.SetHTTP2(true)
	server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.GetCertificate}
	if s.ClientCA != "" {
		server.TLSConfig.GetConfigForClient = s.withClients
	}
	return server
}

// withClients is how a connection is made where clients must prove who they are.
func (s *Server) withClients(*tls.ClientHelloInfo) (*tls.Config, error) {
	pool, err := authorities(s.ClientCA)
	if err != nil {
		s.Log.Error("refuse a connection", "err", err)
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}, GetCertificate: s.GetCertificate,
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
	}, nil
}

// authorities reads certificates of authorities.
func authorities(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the authority of clients (--keda-scaler-client-ca): %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read the authority of clients (--keda-scaler-client-ca): %s has no certificate in PEM", file)
	}
	return pool, nil
}
