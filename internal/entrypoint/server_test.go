// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"context"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"connectrpc.com/connect"

	"github.com/paia-tech/hotstandbyjob/internal/protocol/standbyv1"
	"github.com/paia-tech/hotstandbyjob/internal/protocol/standbyv1/standbyv1connect"
)

// server is a gateway of the generated code.
type server struct {
	*httptest.Server
	attached chan *standbyv1.Activity // has each pod that has attached
	reports  chan *standbyv1.Activity // has each report that was taken
	payloads chan string              // what is sent over the stream
	closed   chan struct{}            // is told of each stream that the pod ends

	mu        sync.Mutex
	refusal   error // of attachments and reports, if any
	noReports error // of reports, if any
	tokens    []string
	end       chan struct{} // ends the streams
}

func newServer(t testing.TB, k *kubelet) *server {
	t.Helper()
	s := &server{
		attached: make(chan *standbyv1.Activity, 100), reports: make(chan *standbyv1.Activity, 100),
		payloads: make(chan string), closed: make(chan struct{}, 100), end: make(chan struct{}),
	}
	mux := http.NewServeMux()
	mux.Handle(standbyv1connect.NewStandbyHandler(s, connect.WithInterceptors(&authentication{s})))
	s.Server = httptest.NewUnstartedServer(mux)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	k.write(map[string]string{"gateway-ca.crt": string(authority)})
	return s
}

// authentication notes tokens, and refuses.
type authentication struct{ s *server }

func (a *authentication) check(h http.Header) error {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.s.tokens = append(a.s.tokens, h.Get("Authorization"))
	return a.s.refusal
}

func (a *authentication) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
		if err := a.check(r.Header()); err != nil {
			return nil, err
		}
		return next(ctx, r)
	}
}

func (*authentication) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (a *authentication) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, c connect.StreamingHandlerConn) error {
		if err := a.check(c.RequestHeader()); err != nil {
			return err
		}
		return next(ctx, c)
	}
}

func (s *server) Attach(ctx context.Context, r *standbyv1.AttachRequest, stream *connect.ServerStream[standbyv1.AttachResponse]) error {
	s.mu.Lock()
	end := s.end
	s.mu.Unlock()
	if err := stream.Send(&standbyv1.AttachResponse{}); err != nil {
		return err
	}
	s.attached <- r.GetActivity() // also of one that has left by now, as those do that had nothing but that to say
	for {
		select {
		case payload := <-s.payloads:
			if err := stream.Send(&standbyv1.AttachResponse{Payload: payload}); err != nil {
				return err
			}
		case <-end:
			return nil
		case <-ctx.Done():
			s.closed <- struct{}{}
			return ctx.Err()
		}
	}
}

func (s *server) Report(_ context.Context, r *standbyv1.ReportRequest) (*standbyv1.ReportResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noReports != nil {
		return nil, s.noReports
	}
	s.reports <- r.GetActivity()
	return &standbyv1.ReportResponse{}, nil
}

// refuse has the server refuse, until it is nil.
func (s *server) refuse(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal = err
}

func (s *server) refuseReports(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noReports = err
}

// endStreams ends those that are there.
func (s *server) endStreams() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.end)
	s.end = make(chan struct{})
}

// asked is how often something was asked for, with which tokens.
func (s *server) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.tokens...)
}

var errDown = connect.NewError(connect.CodeUnavailable, errors.New("not now"))
