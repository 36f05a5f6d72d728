// SPDX-License-Identifier: Apache-2.0

// Package controller lists what the operator runs.
package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/internal/controller/pool"
	"github.com/paia-tech/hotstandbyjob/internal/controller/takeover"
	"github.com/paia-tech/hotstandbyjob/internal/object"
	"github.com/paia-tech/hotstandbyjob/internal/probe"
)

// statusPeriod is how old a pool's numbers may be, in its status alone: nothing is decided by them.
const statusPeriod = time.Second

// signalBuffer takes what a prober says while the pool controller starts.
const signalBuffer = 1024

// Push is what the controllers need of launches, and of workloads that report. The zero Push is: there are none.
type Push struct {
	Registry   Registry
	Entrypoint func() object.Entrypoint

	Unlaunchable bool // the cluster's Jobs can't be run by the launcher
}

// Registry is the pool controller's, and tells when a workload has reported.
type Registry interface {
	pool.Registry
	OnWork(f func(pool types.NamespacedName))
}

// Observer hears of pools and probes. It must not wait for anything.
type Observer interface {
	pool.Observer
	Probed(mode v1alpha1.BusyProbeMode, took time.Duration, failed bool)
}

// Register adds all controllers, and what they work with, to a manager.
func Register(ctx context.Context, mgr ctrl.Manager, c config.Operator, push Push, o Observer) error {
	signals := make(pool.Signals, signalBuffer)
	notify := func(name types.NamespacedName) {
		select {
		case signals <- event.TypedGenericEvent[types.NamespacedName]{Object: name}:
		case <-ctx.Done():
		}
	}
	prober, err := newProber(mgr, c, probe.Options{Notify: notify, Observe: o.Probed})
	if err != nil {
		return err
	}
	direct, err := client.New(mgr.GetConfig(), client.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
	})
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	pools := &pool.Reconciler{
		Client:   mgr.GetClient(),
		Reader:   mgr.GetAPIReader(),
		Direct:   direct,
		Recorder: mgr.GetEventRecorder("hotstandbyjob"),
		Prober:   prober,
		Clock:    clock.RealClock{},
		Suffix:   func() string { return rand.String(5) },
		Secrets:  c.RedisPasswordSecrets,
		Indexes:  c.SharedJobIndexes,

		StatusPeriod: statusPeriod,
		Observer:     o,

		Unlaunchable: push.Unlaunchable,
		Entrypoint:   push.Entrypoint,
	}
	if push.Registry != nil {
		pools.Standby = push.Registry
		push.Registry.OnWork(func(name types.NamespacedName) { go notify(name) }) // who reports mustn't wait for the controller
	}
	return errors.Join(
		mgr.Add(prober),
		pools.Register(ctx, mgr, signals, c.Workers),
		(&takeover.Reconciler{Client: mgr.GetClient()}).Register(mgr),
	)
}

// newProber is the prober of a configuration, with the options that aren't its.
func newProber(mgr ctrl.Manager, c config.Operator, options probe.Options) (*probe.Prober, error) {
	options.Redis = probe.RedisDefaults{
		Address: c.Redis.Address(), DB: c.Redis.DB, Key: c.Redis.Key,
		Password: c.Redis.Password, DialTimeout: c.Redis.ConnectTimeout,
	}
	options.Period = c.SyncInterval
	if c.ExecThroughAPIServer {
		executor, err := probe.NewExecutor(mgr.GetConfig())
		if err != nil {
			return nil, fmt.Errorf("prepare exec through the API server: %w", err)
		}
		options.Exec = executor
	}
	return probe.New(options), nil
}
