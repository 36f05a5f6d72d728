// SPDX-License-Identifier: Apache-2.0

package certificate

import (
	"fmt"
	"net/http"
	"path"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// narrow is a manager as the rotator shall see it. The rotator watches all Secrets of its namespace and all
// MutatingWebhookConfigurations, and writes with the manager's client, which may wait for caches. This one watches one
// object of each, so that it needs permission for these alone, and writes directly.
type narrow struct {
	ctrl.Manager

	config *rest.Config
	direct client.Client
}

func (n *narrow) GetConfig() *rest.Config  { return n.config }
func (n *narrow) GetClient() client.Client { return n.direct }

// Add leaves out the rotator's own loop, and adds its controller. The loop would end the operator if it begins while
// there is no Secret, or when certificates aren't mounted as files, which they never are. What it does besides, the
// controller does whenever the Secret or the webhook changes, and at every resync of its cache (10 hours).
func (n *narrow) Add(r manager.Runnable) error {
	if _, loop := r.(*rotator.CertRotator); loop {
		return nil
	}
	return n.Manager.Add(r)
}

// narrowed narrows a manager to a Secret and a webhook.
func narrowed(mgr ctrl.Manager, o Options) (*narrow, error) {
	direct, err := client.New(mgr.GetConfig(), client.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
	})
	if err != nil {
		return nil, fmt.Errorf("make a client for certificates: %w", err)
	}
	config := rest.CopyConfig(mgr.GetConfig())
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &selecting{next: next, names: map[string]string{"secrets": o.Secret.Name, "mutatingwebhookconfigurations": o.Webhook}}
	})
	return &narrow{Manager: mgr, config: config, direct: direct}, nil
}

// selecting makes lists and watches of a resource ask for one object of it.
type selecting struct {
	next  http.RoundTripper
	names map[string]string // by resource
}

func (s *selecting) RoundTrip(r *http.Request) (*http.Response, error) {
	if name, ok := s.names[path.Base(r.URL.Path)]; ok && r.Method == http.MethodGet {
		r = r.Clone(r.Context())
		query := r.URL.Query()
		query.Set("fieldSelector", "metadata.name="+name)
		r.URL.RawQuery = query.Encode()
	}
	return s.next.RoundTrip(r)
}

// WrappedRoundTripper lets client-go see through.
func (s *selecting) WrappedRoundTripper() http.RoundTripper { return s.next }
