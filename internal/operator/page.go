// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/access"
	"github.com/paia-tech/hotstandbyjob/internal/certificate"
	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/internal/journal"
	"github.com/paia-tech/hotstandbyjob/internal/leader"
	"github.com/paia-tech/hotstandbyjob/internal/ui"
)

// page is what the page has of launches; nothing where none are served.
type page struct {
	certificate *certificate.Serving
	waiting     func(pool types.NamespacedName) int
}

// reviews are how many questions about tokens and rights the page asks the API server at once.
const reviews = 16

// addPage adds the page to a manager, and what leads to it. Without launches there is no certificate in a Secret: the page
// has one that is kept in memory.
func addPage(mgr ctrl.Manager, c config.Operator, history *journal.Journal, p page) error {
	if c.UIAddress == config.Off {
		return addMarker(mgr, c)
	}
	api, err := clientset(mgr)
	if err != nil {
		return err
	}
	if p.certificate == nil {
		names, ips := c.CertificateHosts(config.GatewayService)
		if p.certificate, err = certificate.SelfSigned(names, ips); err != nil {
			return err
		}
	}
	log := slog.New(logr.ToSlogHandler(mgr.GetLogger().WithName("page")))
	handler := ui.New(ui.Deps{
		Pools: pools{mgr.GetCache()}, Waiting: p.waiting, Journal: history, Clock: clock.RealClock{}, Log: log, Namespace: c.Namespace,
		PricePerPodHour: c.PricePerPodHour,
		Reviewer:        access.New(access.Deps{Client: api, Clock: clock.RealClock{}, Log: log, Reviews: reviews}),
	})
	server := &ui.Server{Handler: handler, Address: c.UIAddress, GetCertificate: p.certificate.GetCertificate, Log: log}
	if err := mgr.Add(server); err != nil {
		return err
	}
	return addMarker(mgr, c)
}

// List returns the pools of a namespace, or of all if it is empty.
func (p pools) List(ctx context.Context, namespace string) ([]v1alpha1.HotStandbyJob, error) {
	var list v1alpha1.HotStandbyJobList
	if err := p.cache.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	return list.Items, nil
}

// addMarker has the Service of gateway and page lead to the operator that leads.
func addMarker(mgr ctrl.Manager, c config.Operator) error {
	gateway := c.Push.Enabled && c.Push.GatewayAddress != config.Off
	if c.PodName == "" || (!gateway && c.UIAddress == config.Off) {
		return nil
	}
	direct, err := client.New(mgr.GetConfig(), client.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
	})
	if err != nil {
		return fmt.Errorf("lead to the gateway: %w", err)
	}
	return mgr.Add(&leader.Marker{
		Client: direct, Pod: types.NamespacedName{Namespace: c.PodNamespace, Name: c.PodName}, Elected: mgr.Elected(),
		Log: mgr.GetLogger().WithName("leader"),
	})
}
