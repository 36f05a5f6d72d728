// SPDX-License-Identifier: Apache-2.0

// Package page reaches the operator's page: through the API server to the replica that leads, or directly by a URL; with
// the token of the kubeconfig, or of a service account.
package page

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/internal/plugin/cluster"
)

const (
	// urlVariable is the environment variable for --url.
	urlVariable      = "HSJ_URL"
	defaultNamespace = "hotstandbyjob-system"
	maxAnswer        = 32 << 20
)

// Options say how the page is reached.
type Options struct {
	Namespace      string // of the operator
	URL            string
	CA             string // file
	ServiceAccount string // of the current namespace
}

// Bind makes them flags.
func (o *Options) Bind(f *pflag.FlagSet) {
	f.StringVar(&o.Namespace, "operator-namespace", defaultNamespace, "where the operator runs; its page is reached through the API server")
	f.StringVar(&o.URL, "url", os.Getenv(urlVariable), "the operator's page itself, such as https://localhost:7444; by default $"+urlVariable)
	f.StringVar(&o.CA, "operator-ca", "", "file with the certificate authority of --url")
	f.StringVar(&o.ServiceAccount, "service-account", "", "read the page as this service account of the namespace; for kubeconfigs without a token")
}

// Page is the operator's page.
type Page struct {
	Base      *url.URL
	Transport http.RoundTripper // adds the token
}

// Open finds out how the page is reached, and with which token. It says what is missing.
func Open(ctx context.Context, k *cluster.Cluster, o Options, c clock.PassiveClock) (*Page, error) {
	base := &url.URL{Scheme: "https", Host: "operator"}
	transport := &http.Transport{TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: time.Minute}
	if o.URL != "" {
		var err error
		if base, err = direct(o.URL); err != nil {
			return nil, err
		}
		if transport.TLSClientConfig, err = trusting(o.CA); err != nil {
			return nil, err
		}
	} else {
		t := &tunnel{cluster: k, namespace: o.Namespace}
		transport.DialContext = t.dial
		// The API server leads to the very pod that it knows by that name; the operator's certificate is its own.
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // see above
	}
	authorized, err := authorize(ctx, k, o.ServiceAccount, transport, c)
	if err != nil {
		return nil, err
	}
	return &Page{Base: base, Transport: authorized}, nil
}

// direct reads --url. A token isn't sent over a network in the clear.
func direct(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, fmt.Errorf("--url %q: want https://HOST:PORT", text)
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("--url %s: a token is not sent in the clear to another machine: use https", text)
	}
	u.Path, u.RawQuery, u.Fragment = "", "", ""
	return u, nil
}

func trusting(file string) (*tls.Config, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // the system's authorities
	}
	pem, err := os.ReadFile(file) //nolint:gosec // the user says which
	if err != nil {
		return nil, fmt.Errorf("--operator-ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--operator-ca %s: there is no certificate in it", file)
	}
	return &tls.Config{RootCAs: pool}, nil
}

// Pools are what the page knows of the pools of a namespace, or of all.
func (p *Page) Pools(ctx context.Context, namespace string) (*Pools, error) {
	out := &Pools{}
	return out, p.get(ctx, "/api/v1/pools", url.Values{"namespace": {namespace}, "history": {"false"}}, out)
}

// Launches are the newest launches of a pool or Job, the newest first.
func (p *Page) Launches(ctx context.Context, namespace, pool, job string, limit int) ([]Launch, error) {
	out := struct {
		Launches []Launch `json:"launches"`
	}{}
	query := url.Values{"namespace": {namespace}, "limit": {strconv.Itoa(limit)}}
	for key, value := range map[string]string{"pool": pool, "job": job} {
		if value != "" {
			query.Set(key, value)
		}
	}
	err := p.get(ctx, "/api/v1/launches", query, &out)
	return out.Launches, err
}

func (p *Page) get(ctx context.Context, path string, query url.Values, into any) error {
	u := *p.Base
	u.Path, u.RawQuery = path, query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	client := &http.Client{
		Transport:     p.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("the page doesn't redirect") },
	}
	response, err := client.Do(request)
	if err != nil {
		return unwrapped(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return refused(response.Status, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s isn't the operator's page: %w", p.Base, err)
	}
	return nil
}

// unwrapped is the error without the URL, which may be one of ours.
func unwrapped(err error) error {
	if known, ok := errors.AsType[*url.Error](err); ok {
		return known.Err
	}
	return err
}

// refused is what the page says of a request that it doesn't answer.
func refused(status string, body []byte) error {
	var said struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &said) == nil && said.Error != "" {
		return errors.New(said.Error)
	}
	return fmt.Errorf("the operator's page answers %s", status)
}
