// SPDX-License-Identifier: Apache-2.0

// Package operator puts the operator together: a manager with its cache, its servers and all controllers.
package operator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	goruntime "runtime"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/internal/controller"
	"github.com/paia-tech/hotstandbyjob/internal/journal"
	"github.com/paia-tech/hotstandbyjob/internal/kube"
	"github.com/paia-tech/hotstandbyjob/internal/leader"
	"github.com/paia-tech/hotstandbyjob/internal/metric"
	"github.com/paia-tech/hotstandbyjob/internal/tally"
	"github.com/paia-tech/hotstandbyjob/internal/trace"
)

// LeaseName is the Lease that the leading replica holds.
const LeaseName = "hotstandbyjob.apps.paia.tech"

// Run works until ctx is done, which is no error, or until it can't go on.
func Run(ctx context.Context, connect func() (*rest.Config, error), c config.Operator) error {
	log := Logger(os.Stderr, c)
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	limitMemory(log)
	rc, err := connect()
	if err != nil {
		return fmt.Errorf("find a cluster (in a pod, --kubeconfig, KUBECONFIG or ~/.kube/config): %w", err)
	}
	mgr, err := New(ctx, rc, c)
	if err != nil {
		return err
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	return nil
}

// limitMemory has the garbage collector keep below the memory limit of the container, if there is one: without it, the operator
// would be killed for what is garbage already. GOMEMLIMIT, where it is set, counts more.
func limitMemory(log logr.Logger) {
	switch limit, err := memlimit.Set(); {
	case err != nil:
		log.V(1).Info("the memory limit can't be found out", "error", err)
	case limit < math.MaxInt64:
		log.Info("the garbage collector keeps below a limit", "bytes", limit)
	}
}

// New is a manager with everything in it, ready to start.
func New(ctx context.Context, rc *rest.Config, c config.Operator) (ctrl.Manager, error) {
	set, err := metric.New(ctrlmetrics.Registry, clock.RealClock{})
	if err != nil {
		return nil, err
	}
	mgr, err := newManager(rc, c, set)
	if err != nil {
		return nil, err
	}
	traces, err := tracing(ctx, mgr, c)
	if err != nil {
		return nil, err
	}
	// What happened lately, for who shows it.
	remembered := journal.New(clock.RealClock{})
	told := tally.New(tally.Deps{
		Set: set, Journal: remembered, Clock: clock.RealClock{}, PricePerPodHour: c.PricePerPodHour, Exists: pools{mgr.GetCache()}.exists,
		Traces: traces,
	})
	var pushed controller.Push
	var shown launches
	if c.Push.Enabled {
		if pushed, shown, err = push(ctx, mgr, c, told, traces); err != nil {
			return nil, fmt.Errorf("prepare launches: %w", err)
		}
	}
	if err := errors.Join(addPage(mgr, c, remembered, shown), addScaler(mgr, c, remembered, shown), addMarker(mgr, c)); err != nil {
		return nil, err
	}
	if err := controller.Register(ctx, mgr, c, pushed, told); err != nil {
		return nil, fmt.Errorf("register controllers: %w", err)
	}
	if err := mgr.Add(told); err != nil {
		return nil, fmt.Errorf("add the metrics: %w", err)
	}
	return mgr, nil
}

// newManager is a manager with nothing in it but its checks. Its requests are counted.
func newManager(rc *rest.Config, c config.Operator, set *metric.Set) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("build the scheme: %w", err)
		}
	}
	cache, err := kube.CacheOptions(c.Namespace)
	if err != nil {
		return nil, err
	}
	profileContention(c)
	rc = rest.CopyConfig(rc)
	rc.QPS = -1                  // the server's priority and fairness paces us: it knows what it can take
	rc.DisableCompression = true // the network is faster than that, and each event of a watch would be compressed
	rc.Wrap(set.Transport)
	mgr, err := ctrl.NewManager(rc, ctrl.Options{
		Scheme: scheme,
		Cache:  cache,
		Client: client.Options{Cache: &client.CacheOptions{EnableReadYourWritesConsistency: new(true)}},
		Controller: ctrlconfig.Controller{
			ReconciliationTimeout: 30 * time.Second,
			EnableWarmup:          new(true),
			SkipNameValidation:    new(true), // tests run several operators in one process
		},
		Metrics:                       metrics(c),
		HealthProbeBindAddress:        c.HealthAddress,
		PprofBindAddress:              c.PprofAddress,
		LeaderElection:                c.LeaderElection,
		LeaderElectionID:              LeaseName,
		LeaderElectionNamespace:       c.LeaderElectionSpace,
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the manager: %w", err)
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, fmt.Errorf("add the liveness check: %w", err)
	}
	if err := mgr.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return nil, fmt.Errorf("add the readiness check: %w", err)
	}
	return mgr, nil
}

// Of what waits for a lock one in so many is noted, and of what is blocked otherwise one in so much time: neither is seen in
// what the operator takes.
const (
	mutexFraction = 100
	blockRate     = time.Millisecond
)

// profileContention has the profiles of locks and of what blocks say something, where somebody can read them.
func profileContention(c config.Operator) {
	if c.PprofAddress != config.Off {
		goruntime.SetMutexProfileFraction(mutexFraction)
		goruntime.SetBlockProfileRate(int(blockRate))
	}
}

// metrics are served to those whom the cluster lets `get` them, unless told otherwise.
func metrics(c config.Operator) metricsserver.Options {
	o := metricsserver.Options{BindAddress: c.MetricsAddress}
	if c.OTLPEndpoint != "" {
		// The only text that exemplars can be written in, which name the traces.
		o.HandlerOpts = append(o.HandlerOpts, func(h *promhttp.HandlerOpts) { h.EnableOpenMetrics = true })
	}
	if !c.MetricsInsecure {
		o.SecureServing = true
		o.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	return o
}

// tracing makes traces of launches if there is somebody to send them to; otherwise it returns nil.
func tracing(ctx context.Context, mgr ctrl.Manager, c config.Operator) (*trace.Tracer, error) {
	if c.OTLPEndpoint == "" {
		return nil, nil
	}
	log := mgr.GetLogger().WithName("trace")
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Error(err, "send traces", "endpoint", c.OTLPEndpoint) }))
	traces, err := trace.New(ctx, c.OTLPEndpoint, clock.RealClock{})
	if err != nil {
		return nil, err
	}
	return traces, mgr.Add(traces)
}

// Logger writes what is logged, as JSON or as text for people. logr's verbosity n is slog's level -n.
func Logger(w io.Writer, c config.Operator) logr.Logger {
	o := &slog.HandlerOptions{Level: slog.Level(-c.LogLevel)}
	if c.LogFormat == "text" {
		return logr.FromSlogHandler(slog.NewTextHandler(w, o))
	}
	return logr.FromSlogHandler(slog.NewJSONHandler(w, o))
}

// addMarker has the Service of gateway, page and scaler lead to the operator that leads.
func addMarker(mgr ctrl.Manager, c config.Operator) error {
	gateway := c.Push.Enabled && c.Push.GatewayAddress != config.Off
	if c.PodName == "" || !gateway && c.UIAddress == config.Off && c.Scaler.Address == config.Off {
		return nil
	}
	direct, err := client.New(mgr.GetConfig(), client.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
	})
	if err != nil {
		return fmt.Errorf("have the Service lead to the leader: %w", err)
	}
	return mgr.Add(&leader.Marker{
		Client: direct, Pod: types.NamespacedName{Namespace: c.PodNamespace, Name: c.PodName}, Elected: mgr.Elected(),
		Log: mgr.GetLogger().WithName("leader"),
	})
}
