// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// unvisited is a listener to whom nobody comes.
type unvisited struct {
	asked  atomic.Bool // for a connection
	closed chan struct{}
	close  func()
}

func newUnvisited() *unvisited {
	u := &unvisited{closed: make(chan struct{})}
	u.close = sync.OnceFunc(func() { close(u.closed) })
	return u
}

func (u *unvisited) Accept() (net.Conn, error) {
	u.asked.Store(true)
	<-u.closed
	return nil, net.ErrClosed
}

func (u *unvisited) Close() error {
	u.close()
	return nil
}

func (*unvisited) Addr() net.Addr { return &net.TCPAddr{} }

func TestServerBeginsWhenItIsTime(t *testing.T) {
	for name, tc := range map[string]struct{ never bool }{
		"and serves then":            {},
		"or ends where it never was": {never: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				listener, after := newUnvisited(), make(chan struct{})
				s := &Server{
					Listener: listener, After: after, Log: slog.New(slog.DiscardHandler),
					GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &tls.Certificate{}, nil },
				}
				done := make(chan error, 1)
				go func() { done <- s.Start(ctx) }()
				synctest.Wait()
				if listener.asked.Load() {
					t.Error("it serves before")
				}
				if !tc.never {
					close(after)
					synctest.Wait()
					if !listener.asked.Load() {
						t.Error("it doesn't serve")
					}
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
