// SPDX-License-Identifier: Apache-2.0

package page

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/internal/plugin/cluster"
)

const (
	tokenSeconds = 3600
	renewBefore  = 5 * time.Minute
)

// errNoToken says what to do about a kubeconfig that has none.
var errNoToken = errors.New("the kubeconfig has no token, but a client certificate or a password, which the operator's page doesn't take: " +
	"add --service-account=NAME (in the namespace of -n) of one that may list hotstandbyjobs")

// authorize puts a token on requests: a service account's, or that of the kubeconfig.
func authorize(ctx context.Context, k *cluster.Cluster, account string, base http.RoundTripper, c clock.PassiveClock) (http.RoundTripper, error) {
	if account != "" {
		t := &accountToken{cluster: k, account: account, clock: c, base: base}
		_, err := t.token(ctx)
		return t, err
	}
	config := rest.CopyConfig(k.Config)
	config.Impersonate = rest.ImpersonationConfig{} // the page asks who the token is
	probe := &recorder{}
	asked, err := rest.HTTPWrappersForConfig(config, probe)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.Config.Host, nil)
	if err != nil {
		return nil, err
	}
	if _, err := asked.RoundTrip(request); err != nil && !errors.Is(err, errRecorded) {
		return nil, fmt.Errorf("get a token: %w", err)
	}
	if !probe.bearer {
		return nil, errNoToken
	}
	return rest.HTTPWrappersForConfig(config, base)
}

var errRecorded = errors.New("recorded")

// recorder sees whether a request has a token, and sends nothing.
type recorder struct{ bearer bool }

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	const scheme = "Bearer "
	header := request.Header.Get("Authorization")
	r.bearer = len(header) > len(scheme) && header[:len(scheme)] == scheme
	return nil, errRecorded
}

// accountToken has a service account's token, and a new one in time.
type accountToken struct {
	cluster *cluster.Cluster
	account string
	clock   clock.PassiveClock
	base    http.RoundTripper

	mu      sync.Mutex
	value   string
	expires time.Time
}

func (t *accountToken) token(ctx context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.value != "" && t.clock.Now().Before(t.expires.Add(-renewBefore)) {
		return t.value, nil
	}
	got, err := t.cluster.Token(ctx, t.account, tokenSeconds)
	if err != nil {
		return "", fmt.Errorf("a token of service account %s: %w", t.account, err)
	}
	t.value, t.expires = got.Token, got.ExpirationTimestamp.Time
	return t.value, nil
}

// RoundTrip adds the token.
func (t *accountToken) RoundTrip(request *http.Request) (*http.Response, error) {
	token, err := t.token(request.Context())
	if err != nil {
		return nil, err
	}
	request = request.Clone(request.Context())
	request.Header.Set("Authorization", "Bearer "+token)
	return t.base.RoundTrip(request)
}
