// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"log/slog"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/access"
	"github.com/paia-tech/hotstandbyjob/internal/certificate"
	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/internal/journal"
	"github.com/paia-tech/hotstandbyjob/internal/ui"
)

// reviews are how many questions about tokens and rights the page asks the API server at once.
const reviews = 16

// addPage adds the page to a manager. Without launches there is no certificate in a Secret: the page has one that is kept in
// memory.
func addPage(mgr ctrl.Manager, c config.Operator, history *journal.Journal, l launches) error {
	if c.UIAddress == config.Off {
		return nil
	}
	api, err := clientset(mgr)
	if err != nil {
		return err
	}
	if l.certificate == nil {
		names, ips := c.CertificateHosts(config.GatewayService)
		if l.certificate, err = certificate.SelfSigned(clock.RealClock{}.Now(), names, ips); err != nil {
			return err
		}
	}
	log := slog.New(logr.ToSlogHandler(mgr.GetLogger().WithName("page")))
	handler := ui.New(ui.Deps{
		Pools: pools{mgr.GetCache()}, Waiting: l.waiting, Journal: history, Clock: clock.RealClock{}, Log: log, Namespace: c.Namespace,
		PricePerPodHour: c.PricePerPodHour,
		Reviewer:        access.New(access.Deps{Client: api, Clock: clock.RealClock{}, Log: log, Reviews: reviews}),
	})
	server := &ui.Server{Handler: handler, Address: c.UIAddress, GetCertificate: l.certificate.GetCertificate, Log: log}
	return mgr.Add(server)
}

// List returns the pools of a namespace, or of all if it is empty.
func (p pools) List(ctx context.Context, namespace string) ([]v1alpha1.HotStandbyJob, error) {
	var list v1alpha1.HotStandbyJobList
	if err := p.cache.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	return list.Items, nil
}
