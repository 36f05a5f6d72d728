// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"github.com/paia-tech/hotstandbyjob/internal/serving"
)

// errStopping is the cause of the end of streams when the server stops.
var errStopping = errors.New("the gateway is stopping: try again")

// ended is the error for a stream whose context is done.
func ended(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), errStopping) {
		return connect.NewError(connect.CodeUnavailable, errStopping)
	}
	return ctx.Err()
}

// Server serves a gateway while this process leads.
type Server struct {
	Handler        http.Handler
	Address        string       // such as :9444
	Listener       net.Listener // in place of an address
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// After is closed when there is something to serve for; nil: at once. When the operator has started, all pods attach at
	// once, and what launches would come to its turn once in thousands of handshakes, over and over, before it knew of the
	// first pod.
	After <-chan struct{}
	Log   *slog.Logger
}

// NeedLeaderElection says that the leader alone serves: claims are made there.
func (s *Server) NeedLeaderElection() bool { return true }

const (
	// Streams that are open when the server stops are ended at once; this is for what is being answered.
	shutdownTimeout = 5 * time.Second
	// A peer that is silent for so long is asked whether it still is there, and has as long to answer.
	pingAfter, pingTimeout = 15 * time.Second, 10 * time.Second
	// maxHeaderBytes has room for a long token.
	maxHeaderBytes = 64 << 10
)

// Start serves, when it is time to, until ctx is done. Then all streams are ended, so that pods and clients connect to whoever
// leads next.
func (s *Server) Start(ctx context.Context) error {
	if s.After != nil {
		select {
		case <-s.After:
		case <-ctx.Done():
			return nil
		}
	}
	base, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	return serving.Server{
		HTTP: s.server(base), What: "the gateway", Address: s.Address, Listener: s.Listener, Grace: shutdownTimeout,
		Listening: func(at net.Addr) { s.Log.Info("the gateway serves", "address", at.String()) },
		Stopping:  func() { stop(errStopping) },
	}.Until(ctx)
}

func (s *Server) server(base context.Context) *http.Server {
	return &http.Server{
		Handler: s.Handler,
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: s.GetCertificate,
		},
		BaseContext:       func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: requestTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug), // port scanners and the like
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 1000, SendPingTimeout: pingAfter, PingTimeout: pingTimeout, WriteByteTimeout: pingAfter,
		},
	}
}
