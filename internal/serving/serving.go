// SPDX-License-Identifier: Apache-2.0

// Package serving runs an HTTP server for as long as a context lasts.
package serving

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Server is an HTTP server and how it begins and ends.
type Server struct {
	// HTTP serves over TLS if it has a TLSConfig.
	HTTP *http.Server
	// What is served, for errors: "the gateway".
	What     string
	Address  string       // such as :7443
	Listener net.Listener // in place of an address

	// Listening is called when connections are taken.
	Listening func(net.Addr)
	// Stopping is called when the context is done, before anything is ended; nil: there is nothing to do.
	Stopping func()
	// Grace is how long what is being answered then has.
	Grace time.Duration
}

// Until serves until ctx is done.
func (s Server) Until(ctx context.Context) error {
	if err := s.until(ctx); err != nil {
		return fmt.Errorf("serve %s: %w", s.What, err)
	}
	return nil
}

func (s Server) until(ctx context.Context) error {
	listener := s.Listener
	if listener == nil {
		var err error
		if listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.Address); err != nil {
			return err
		}
	}
	stopped := make(chan error, 1)
	go func() {
		if s.HTTP.TLSConfig == nil {
			stopped <- s.HTTP.Serve(listener)
		} else {
			stopped <- s.HTTP.ServeTLS(listener, "", "")
		}
	}()
	s.Listening(listener.Addr())
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
	}
	if s.Stopping != nil {
		s.Stopping()
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Grace)
	defer cancel()
	if err := s.HTTP.Shutdown(grace); err != nil {
		_ = s.HTTP.Close() // what is still open by now is lost anyway
	}
	if err := <-stopped; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
