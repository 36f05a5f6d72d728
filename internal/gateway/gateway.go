// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/client/launcherv1/launcherv1connect"
	"github.com/paia-tech/hotstandbyjob/internal/protocol/standbyv1/standbyv1connect"
	"github.com/paia-tech/hotstandbyjob/internal/standby"
)

// ErrNotPush is what Pools returns for a pool that Jobs can't start in.
var ErrNotPush = errors.New("the pool has assignment: Pull, which hands out no work")

// Pools knows the pools.
type Pools interface {
	// Template returns what the pool's pods are made from, as a Job that starts in one of them must have it, and the name
	// of the container whose command waits for work. The template is the caller's to change. A pool that doesn't exist is
	// an error of which apierrors.IsNotFound is true.
	Template(ctx context.Context, pool types.NamespacedName) (template corev1.PodTemplateSpec, container string, err error)
}

// Deps are what a gateway works with.
type Deps struct {
	Client   kubernetes.Interface // with the operator's rights, and without a rate limit of its own
	Registry *standby.Registry
	Pools    Pools
	Watcher  Watcher                            // nil: the API server is asked, once for each Launch
	Before   func(job types.NamespacedName) int // how many Jobs wait before this one; nil: none do
	Clock    clock.WithTicker
	Log      *slog.Logger
	Limits   Limits // where 0, the default
	// Streams is told how many streams of pods were opened, or with a negative number closed. May be nil.
	Streams func(change int)
	// AnyAddress lets pods attach from addresses that aren't their own, which is necessary where something rewrites them.
	AnyAddress bool
}

// Limits keep one client from starving the others, and all of them from starving the operator. Whoever is over a limit is
// told so at once, by an error that may be retried.
type Limits struct {
	MessageBytes      int // of one request
	Streams           int // of pods, in all
	Launches          int // open Launch and Start calls, in all
	LaunchesPerClient int // the same, of one user
	Reviews           int // requests to the API server about tokens and rights, at once: so many for pods, and as many for clients
}

// DefaultLimits are for 10,000 standby pods.
func DefaultLimits() Limits {
	return Limits{MessageBytes: 256 << 10, Streams: 20_000, Launches: 5_000, LaunchesPerClient: 1_000, Reviews: 16}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	for _, f := range []struct{ value, standard *int }{
		{&l.MessageBytes, &d.MessageBytes},
		{&l.Streams, &d.Streams},
		{&l.Launches, &d.Launches},
		{&l.LaunchesPerClient, &d.LaunchesPerClient},
		{&l.Reviews, &d.Reviews},
	} {
		if *f.value == 0 {
			*f.value = *f.standard
		}
	}
	return l
}

// requestTimeout is how long a caller may take to send a request.
const requestTimeout = 10 * time.Second

// Gateway is the handler of all requests. Its connections must be TLS: tokens are sent over them.
type Gateway struct {
	mux   *http.ServeMux
	clock clock.PassiveClock
}

// worthwhile is from how many bytes on a message is compressed for those who take that: what pods and launches are told is
// mostly shorter.
const worthwhile = 4096

// New returns a gateway. It must be made before the registry is told of pods.
func New(d Deps) *Gateway {
	d.Limits = d.Limits.withDefaults()
	if d.Watcher == nil {
		d.Watcher = apiWatcher{client: d.Client}
	}
	if d.Before == nil {
		d.Before = func(types.NamespacedName) int { return 0 }
	}
	if d.Streams == nil {
		d.Streams = func(int) {}
	}
	gate := newGate(&d)
	options := []connect.HandlerOption{connect.WithReadMaxBytes(d.Limits.MessageBytes), connect.WithCompressMinBytes(worthwhile)}
	g := &Gateway{mux: http.NewServeMux(), clock: d.Clock}
	g.mux.Handle(standbyv1connect.NewStandbyHandler(
		&standbyService{registry: d.Registry, reviewer: gate.podReviewer, streams: newLimiter(d.Limits.Streams, d.Limits.Streams), counted: d.Streams, log: d.Log},
		append(options, connect.WithRequestGate(gate.pods))...))
	g.mux.Handle(launcherv1connect.NewLauncherHandler(
		newLauncher(&d, gate),
		append(options, connect.WithRequestGate(gate.clients))...))
	return g
}

type responseKey struct{}

// ServeHTTP gives a request its time for being sent, and hands it on.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	response := http.NewResponseController(w)
	_ = response.SetReadDeadline(g.clock.Now().Add(requestTimeout)) // not supported by what tests record responses with
	g.mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), responseKey{}, response)))
}

// unhurried takes the deadline off a request that was read, since with HTTP/1.1 it would end the stream too.
func unhurried(ctx context.Context) {
	if response, ok := ctx.Value(responseKey{}).(*http.ResponseController); ok {
		_ = response.SetReadDeadline(time.Time{})
	}
}
