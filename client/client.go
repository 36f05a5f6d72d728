// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/paia-tech/hotstandbyjob/client/launcherv1"
	"github.com/paia-tech/hotstandbyjob/client/launcherv1/launcherv1connect"
)

// TokenSource returns the token that a call is made with.
type TokenSource func(context.Context) (string, error)

// Option changes how a client works.
type Option func(*options)

type options struct {
	token    TokenSource
	ca       []byte
	http     connect.HTTPClient
	attempts int
	pause    time.Duration
}

// WithTokenSource has each call ask for its token, such as one that is renewed.
func WithTokenSource(s TokenSource) Option { return func(o *options) { o.token = s } }

// WithToken sends one token with all calls.
func WithToken(token string) Option {
	return WithTokenSource(func(context.Context) (string, error) { return token, nil })
}

// WithTokenFile reads the token from a file for each call: that of a service account is replaced from time to time.
func WithTokenFile(path string) Option {
	return WithTokenSource(func(context.Context) (string, error) {
		text, err := os.ReadFile(path)
		return strings.TrimSpace(string(text)), err
	})
}

// WithCA trusts the gateway if its certificate is by this authority, given in PEM, in place of those that the system
// trusts.
func WithCA(pem []byte) Option { return func(o *options) { o.ca = pem } }

// WithHTTPClient makes calls by a client of your own. WithCA is then without effect.
func WithHTTPClient(c connect.HTTPClient) Option { return func(o *options) { o.http = c } }

// WithRetries says how often a call is made at most, and how long to wait before the second time; the pause doubles from
// then on, up to 5 seconds, and is then shortened by up to half, by chance. The default is 6 times, and 100 ms.
func WithRetries(attempts int, pause time.Duration) Option {
	return func(o *options) { o.attempts, o.pause = attempts, pause }
}

// Client calls a gateway. It may be used by any number of goroutines.
type Client struct {
	launcher launcherv1connect.LauncherClient
	attempts int
	pause    time.Duration
}

// New returns a client of the gateway at a URL such as https://hotstandbyjob-gateway.hotstandbyjob:9444.
func New(baseURL string, with ...Option) (*Client, error) {
	o := options{attempts: 6, pause: 100 * time.Millisecond}
	for _, option := range with {
		option(&o)
	}
	if o.token == nil {
		return nil, errors.New("a client needs a token: use WithToken, WithTokenFile or WithTokenSource")
	}
	if o.http == nil {
		transport, err := transportFor(o.ca)
		if err != nil {
			return nil, err
		}
		o.http = &http.Client{Transport: transport}
	}
	return &Client{
		launcher: launcherv1connect.NewLauncherClient(o.http, baseURL, connect.WithInterceptors(authorize{o.token})),
		attempts: max(o.attempts, 1), pause: o.pause,
	}, nil
}

// transportFor notices when the gateway is gone: it asks after 15 s of silence.
func transportFor(ca []byte) (*http.Transport, error) {
	t := &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12},
		HTTP2:             &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
	}
	if ca == nil {
		return t, nil
	}
	t.TLSClientConfig.RootCAs = x509.NewCertPool()
	if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(ca) {
		return nil, errors.New("the authority has no certificate in PEM")
	}
	return t, nil
}

// Launch makes a Job. It returns as soon as the Job exists; what becomes of it is told by the Launch. The call is repeated
// while the gateway can't be reached or asks for that, which makes no second Job: a request without request_key gets one.
// ctx ends the Launch as a whole, and doesn't end the Job.
func (c *Client) Launch(ctx context.Context, request *launcherv1.LaunchRequest) (*Launch, error) {
	request, _ = proto.Clone(request).(*launcherv1.LaunchRequest)
	if request.GetRequestKey() == "" {
		request.RequestKey = rand.Text()
	}
	l := &Launch{client: c, request: request, seen: map[event]bool{}}
	l.ctx, l.cancel = context.WithCancel(ctx)
	err := c.retry(l.ctx, func() error { return l.open() })
	if err != nil {
		l.cancel()
		return nil, fmt.Errorf("launch: %w", err)
	}
	return l, nil
}

// Start makes a Job and leaves it at that. Get tells what has become of it.
func (c *Client) Start(ctx context.Context, request *launcherv1.LaunchRequest) (response *launcherv1.StartResponse, err error) {
	request, _ = proto.Clone(request).(*launcherv1.LaunchRequest)
	if request.GetRequestKey() == "" {
		request.RequestKey = rand.Text()
	}
	err = c.retry(ctx, func() (err error) {
		response, err = c.launcher.Start(ctx, request)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	return response, nil
}

// Get tells what has become of a Job so far.
func (c *Client) Get(ctx context.Context, namespace, job string) (response *launcherv1.GetResponse, err error) {
	err = c.retry(ctx, func() (err error) {
		response, err = c.launcher.Get(ctx, &launcherv1.GetRequest{Namespace: namespace, Job: job})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	return response, nil
}

// Cancel deletes a Job and its pods. One that is gone already is no error if an attempt before has failed.
func (c *Client) Cancel(ctx context.Context, namespace, job string) error {
	again := false
	err := c.retry(ctx, func() error {
		_, err := c.launcher.Cancel(ctx, &launcherv1.CancelRequest{Namespace: namespace, Job: job})
		if again && connect.CodeOf(err) == connect.CodeNotFound {
			return nil
		}
		again = true
		return err
	})
	if err != nil {
		return fmt.Errorf("cancel: %w", err)
	}
	return nil
}
