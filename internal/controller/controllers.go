// SPDX-License-Identifier: Apache-2.0

// Package controller lists what the operator runs.
package controller

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/internal/controller/pool"
	"github.com/paia-tech/hotstandbyjob/internal/controller/takeover"
	"github.com/paia-tech/hotstandbyjob/internal/probe"
)

// signalBuffer takes what a prober says while the pool controller starts.
const signalBuffer = 1024

// Register adds all controllers, and what they work with, to a manager.
func Register(ctx context.Context, mgr ctrl.Manager, c config.Operator) error {
	signals := make(pool.Signals, signalBuffer)
	prober, err := newProber(ctx, mgr, c, signals)
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
	}
	return errors.Join(
		mgr.Add(prober),
		pools.Register(ctx, mgr, signals, c.Workers),
		(&takeover.Reconciler{Client: mgr.GetClient()}).Register(mgr),
	)
}

// newProber is the prober of a configuration. What it hears goes into signals; when ctx ends it is no longer heard.
func newProber(ctx context.Context, mgr ctrl.Manager, c config.Operator, signals pool.Signals) (*probe.Prober, error) {
	options := probe.Options{
		Redis: probe.RedisDefaults{
			Address: c.Redis.Address(), DB: c.Redis.DB, Key: c.Redis.Key,
			Password: c.Redis.Password, DialTimeout: c.Redis.ConnectTimeout,
		},
		Period: c.SyncInterval,
		Notify: func(name types.NamespacedName) {
			select {
			case signals <- event.TypedGenericEvent[types.NamespacedName]{Object: name}:
			case <-ctx.Done():
			}
		},
	}
	if c.ExecThroughAPIServer {
		executor, err := probe.NewExecutor(mgr.GetConfig())
		if err != nil {
			return nil, fmt.Errorf("prepare exec through the API server: %w", err)
		}
		options.Exec = executor
	}
	return probe.New(options), nil
}
