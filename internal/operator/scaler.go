// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"log/slog"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/internal/journal"
	"github.com/paia-tech/hotstandbyjob/internal/scaler"
)

// addScaler adds to a manager what is served to KEDA.
func addScaler(mgr ctrl.Manager, c config.Operator, history *journal.Journal, l launches) error {
	if c.Scaler.Address == config.Off {
		return nil
	}
	server := &scaler.Server{
		Handler: scaler.New(scaler.Deps{
			Pools: pools{mgr.GetCache()}, Waiting: l.waiting, Journal: history, Clock: clock.RealClock{},
		}),
		Address: c.Scaler.Address, ClientCA: c.Scaler.ClientCA,
		Log: slog.New(logr.ToSlogHandler(mgr.GetLogger().WithName("scaler"))),
	}
	if !c.Scaler.Insecure {
		server.GetCertificate = l.certificate.GetCertificate
	}
	return mgr.Add(server)
}
