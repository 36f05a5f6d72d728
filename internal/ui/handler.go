// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/access"
	"github.com/paia-tech/hotstandbyjob/internal/journal"
)

// Lister knows the pools.
type Lister interface {
	// List returns the pools of a namespace, or of all if it is empty. They are not the caller's to change.
	List(ctx context.Context, namespace string) ([]v1alpha1.HotStandbyJob, error)
}

// Deps are what the handler works with.
type Deps struct {
	Pools    Lister
	Waiting  func(pool types.NamespacedName) int // pods that launches wait for; nil: none
	Journal  *journal.Journal
	Reviewer *access.Reviewer
	Clock    clock.PassiveClock
	Log      *slog.Logger

	Namespace       string  // the only one that is served; empty: all
	PricePerPodHour float64 // 0: not known
}

const (
	// underWay is how many requests are answered at once. Who is over that is asked to come again.
	underWay = 64
	// A request for launches returns so many, unless it says how many, and never more than the journal may have.
	someLaunches, mostLaunches = 100, 1000
)

// Handler serves the page and its API.
type Handler struct {
	Deps
	mux   *http.ServeMux
	turns chan struct{}
}

// New returns a handler. Its connections must be TLS: tokens are sent over them.
func New(d Deps) *Handler {
	if d.Waiting == nil {
		d.Waiting = func(types.NamespacedName) int { return 0 }
	}
	h := &Handler{Deps: d, mux: http.NewServeMux(), turns: make(chan struct{}, underWay)}
	h.mux.HandleFunc("GET /api/v1/pools", h.api(h.pools))
	h.mux.HandleFunc("GET /api/v1/launches", h.api(h.launches))
	h.mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		h.answer(w, r, http.StatusNotFound, failure{"there is GET /api/v1/pools and GET /api/v1/launches, and nothing else"})
	})
	serveFiles(h.mux, built)
	return h
}

// ServeHTTP says what browsers may do with what they get, and hands the request on.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name, value := range headers {
		w.Header().Set(name, value)
	}
	h.mux.ServeHTTP(w, r)
}

// headers: the page loads what comes from here and nothing else, runs no inline script, and is shown in nobody's frame.
// Browsers of other origins get nothing: there is no CORS.
var headers = map[string]string{
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
	"Referrer-Policy":              "no-referrer",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy":           "camera=(), geolocation=(), microphone=()",
}

// query is what a request asks for.
type query struct {
	namespace, pool, job string
	history              bool
	limit                int
}

// errBad is for requests that can't be understood.
var errBad = errors.New("the request can't be answered")

// bad says what is wrong with a parameter.
func bad(name, must string) error { return fmt.Errorf("%w: %s must be %s", errBad, name, must) }

// parse reads a query. The names in it are ones that objects can have: nothing else is asked about or remembered.
func parse(q url.Values) (query, error) {
	out := query{namespace: q.Get("namespace"), pool: q.Get("pool"), job: q.Get("job"), history: true, limit: someLaunches}
	for _, name := range []string{"namespace", "pool", "job"} {
		if v := q.Get(name); v != "" && len(validation.IsDNS1123Subdomain(v)) > 0 {
			return out, bad(name, "a name that such an object can have")
		}
	}
	var err error
	if v := q.Get("history"); v != "" {
		if out.history, err = strconv.ParseBool(v); err != nil {
			return out, bad("history", "true or false")
		}
	}
	if v := q.Get("limit"); v != "" {
		if out.limit, err = strconv.Atoi(v); err != nil || out.limit < 1 || out.limit > mostLaunches {
			return out, bad("limit", fmt.Sprintf("a number from 1 to %d", mostLaunches))
		}
	}
	return out, nil
}

// pools answers what the pools do.
func (h *Handler) pools(ctx context.Context, q query) (any, error) {
	list, err := h.Pools.List(ctx, q.namespace)
	if err != nil {
		return nil, fmt.Errorf("list the pools: %w", err)
	}
	now := h.Clock.Now()
	out := Pools{
		Now: now, PeriodSeconds: journal.Period.Seconds(), Bounds: bounds(), PricePerPodHour: h.PricePerPodHour,
		Pools: make([]Pool, 0, len(list)),
	}
	for i := range list {
		name := types.NamespacedName{Namespace: list[i].Namespace, Name: list[i].Name}
		past := h.Journal.Pool(name)
		p := poolOf(&list[i], &past, h.Waiting(name), now)
		if q.history {
			p.Past = pastOf(&past)
		}
		out.Pools = append(out.Pools, p)
	}
	slices.SortFunc(out.Pools, func(a, b Pool) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	return out, nil
}

func bounds() []float64 {
	out := make([]float64, 0, len(journal.Bounds))
	for _, b := range journal.Bounds {
		out = append(out, b.Seconds())
	}
	return out
}

// launches answers what was launched lately.
func (h *Handler) launches(_ context.Context, q query) (any, error) {
	either := func(wanted, is string) bool { return wanted == "" || wanted == is }
	out := Launches{Launches: []Launch{}}
	for _, l := range h.Journal.Launches(q.limit, func(l journal.Launch) bool {
		return either(q.namespace, l.Pool.Namespace) && either(q.pool, l.Pool.Name) && either(q.job, l.Job)
	}) {
		out.Launches = append(out.Launches, launchOf(&l))
	}
	return out, nil
}
