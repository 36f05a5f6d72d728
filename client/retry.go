// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"connectrpc.com/connect"
)

const longestPause = 5 * time.Second

// retry does something again while it fails in a way that another attempt may mend.
func (c *Client) retry(ctx context.Context, do func() error) error {
	pause := c.pause
	for attempt := 1; ; attempt++ {
		err := do()
		if err == nil || !retryable(err) || attempt >= c.attempts {
			return err
		}
		if !sleep(ctx, pause) {
			return errors.Join(err, ctx.Err())
		}
		pause = min(2*pause, longestPause)
	}
}

// retryable says whether the gateway was busy, stopped, or wasn't there. A stream that breaks off is an internal or an
// unknown error to some proxies; those are left to the caller.
func retryable(err error) bool {
	switch connect.CodeOf(err) {
	case connect.CodeUnavailable, connect.CodeResourceExhausted, connect.CodeAborted:
		return true
	default:
		return false
	}
}

// sleep returns false if ctx is done first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d - rand.N(d/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// authorize sends a token with each call.
type authorize struct{ token TokenSource }

func (a authorize) header(ctx context.Context, h http.Header) error {
	token, err := a.token(ctx)
	if err != nil {
		return connect.NewError(connect.CodeUnauthenticated, fmt.Errorf("get a token: %w", err))
	}
	h.Set("Authorization", "Bearer "+token)
	return nil
}

// WrapUnary is for calls with one answer.
func (a authorize) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
		if err := a.header(ctx, r.Header()); err != nil {
			return nil, err
		}
		return next(ctx, r)
	}
}

// WrapStreamingClient is for calls with a stream of answers.
func (a authorize) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		if err := a.header(ctx, conn.RequestHeader()); err != nil {
			return failed{conn, err}
		}
		return conn
	}
}

// WrapStreamingHandler is for servers.
func (authorize) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// failed is a stream for which there was no token.
type failed struct {
	connect.StreamingClientConn
	err error
}

// Send fails.
func (f failed) Send(any) error { return f.err }

// Receive fails.
func (f failed) Receive(any) error { return f.err }
