// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/paia-tech/hotstandbyjob/internal/serving"
)

const (
	// readTimeout and writeTimeout are what a request and its answer may take.
	readTimeout, writeTimeout = 10 * time.Second, 30 * time.Second
	idleTimeout               = 2 * time.Minute
	// shutdownTimeout is for what is being answered when the server stops.
	shutdownTimeout = 2 * time.Second
	// maxHeaderBytes has room for a long token.
	maxHeaderBytes = 64 << 10
	maxStreams     = 100
)

// Server serves the page while this process leads.
type Server struct {
	Handler        http.Handler
	Address        string       // such as :7444
	Listener       net.Listener // in place of an address
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	Log            *slog.Logger
}

// NeedLeaderElection says that the leader alone serves: what happens in pools is remembered there.
func (s *Server) NeedLeaderElection() bool { return true }

// Start serves until ctx is done.
func (s *Server) Start(ctx context.Context) error {
	return serving.Server{
		HTTP: s.server(), What: "the page", Address: s.Address, Listener: s.Listener, Grace: shutdownTimeout,
		Listening: func(at net.Addr) { s.Log.Info("the page is served", "address", at.String()) },
	}.Until(ctx)
}

func (s *Server) server() *http.Server {
	return &http.Server{
		Handler: s.Handler,
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: s.GetCertificate,
		},
		ReadTimeout:    readTimeout,
		WriteTimeout:   writeTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug), // port scanners and the like
		HTTP2:          &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
	}
}
