// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

const (
	// bodyLimit is how much of an answer is read, so that its connection can be used again.
	bodyLimit = 64 << 10
	// idleConnection is how long a connection is kept for the next request.
	idleConnection = 90 * time.Second
)

// newHTTPClient returns the client of all HTTP probes. It goes to the pod and nowhere else: a pod that could redirect the
// operator, or an environment that could put a proxy between them, would lend its answer to others.
func newHTTPClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil,
			DialContext:            (&net.Dialer{}).DialContext, // bounded by the request's context
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        idleConnection,
			DisableCompression:     true,
			MaxResponseHeaderBytes: bodyLimit,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// askHTTP sends one request. Only an answer is success or failure: a pod that doesn't answer may well be busy.
func (p *Prober) askHTTP(ctx context.Context, f *flight) Reading {
	target, asked := &f.entry.target, &f.pool.question
	if target.IP == "" {
		return Reading{Reason: "the pod has no IP address yet"}
	}
	url := "http://" + net.JoinHostPort(target.IP, strconv.Itoa(int(asked.port))) + asked.path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return Reading{Reason: "GET " + url + ": " + cause(err)}
	}
	request.Header.Set("User-Agent", "hotstandbyjob-probe")
	response, err := p.http.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			return Reading{Reason: "GET " + url + ": no answer within " + f.timeout.String()}
		}
		return Reading{Reason: "GET " + url + ": " + cause(err)}
	}
	_, _ = io.CopyN(io.Discard, response.Body, bodyLimit) // the status has been read: the rest can't change it
	_ = response.Body.Close()
	return Reading{Signal: asked.signal(response.StatusCode >= 200 && response.StatusCode < 300)}
}
