// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"

	"connectrpc.com/connect"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/access"
)

// gate lets in those who may come.
type gate struct {
	// Clients don't wait behind pods, all of which come at once when the operator has started.
	podReviewer, clientReviewer *access.Reviewer
	anyAddress                  bool
}

func newGate(d *Deps) *gate {
	reviewer := func() *access.Reviewer {
		return access.New(access.Deps{Client: d.Client, Clock: d.Clock, Log: d.Log, Reviews: d.Limits.Reviews})
	}
	return &gate{podReviewer: reviewer(), clientReviewer: reviewer(), anyAddress: d.AnyAddress}
}

// pods lets those in who have the token of a pod, made for us.
func (g *gate) pods(ctx context.Context, _ connect.Spec, peer connect.Peer, h http.Header) (context.Context, error) {
	token, err := access.Bearer(h)
	if err != nil {
		return ctx, stopped(err)
	}
	c, err := g.podReviewer.Caller(ctx, v1alpha1.TokenAudience, token)
	if err != nil {
		return ctx, stopped(err)
	}
	pod := podOf(&c.User)
	if pod == nil {
		return ctx, connect.NewError(connect.CodePermissionDenied, fmt.Errorf("the token of %s isn't bound to a pod", c.User.Username))
	}
	if from, err := netip.ParseAddrPort(peer.Addr); err == nil && !g.anyAddress {
		ctx = context.WithValue(ctx, addressKey{}, from.Addr().Unmap())
	}
	return context.WithValue(context.WithValue(ctx, callerKey{}, c), podKey{}, *pod), nil
}

// clients lets those in whom the API server would, and those who have a token made for us.
func (g *gate) clients(ctx context.Context, _ connect.Spec, _ connect.Peer, h http.Header) (context.Context, error) {
	token, err := access.Bearer(h)
	if err != nil {
		return ctx, stopped(err)
	}
	c, err := g.clientReviewer.Client(ctx, token)
	if err != nil {
		return ctx, stopped(err)
	}
	return context.WithValue(ctx, callerKey{}, c), nil
}

// allow says whether the caller may do something with Jobs; the error is what to answer if not.
func (g *gate) allow(ctx context.Context, verb, namespace, job string) error {
	return stopped(g.clientReviewer.Allow(ctx, callerOf(ctx), access.Attributes{
		Verb: verb, Group: "batch", Version: "v1", Resource: "jobs", Namespace: namespace, Name: job,
	}))
}

// stopped is what to answer to those who aren't let in.
func stopped(err error) error {
	var refusal *access.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	code := connect.CodeUnavailable
	switch refusal.Kind {
	case access.Unauthenticated:
		code = connect.CodeUnauthenticated
	case access.Forbidden:
		code = connect.CodePermissionDenied
	case access.Unavailable:
	}
	return connect.NewError(code, refusal)
}
