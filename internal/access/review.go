// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

const (
	// Who a token belongs to doesn't change; whether it still does is asked anew after this time.
	knownFor   = time.Minute
	unknownFor = 5 * time.Second
	// What somebody may do can change at any time.
	allowedFor = 10 * time.Second
	// answers are how many of each kind are kept. Refusals have a cache of their own, so that made-up tokens don't push
	// the answers about good ones out.
	answers, refusals = 20_000, 1_000
	// reviewTimeout is how long the API server may take, waiting for one's turn included.
	reviewTimeout = 10 * time.Second
)

// Reviewer asks the API server who somebody is, and what they may do.
type Reviewer struct {
	client   kubernetes.Interface
	clock    clock.PassiveClock
	log      *slog.Logger
	turns    *semaphore.Weighted
	flights  singleflight.Group
	known    *cache.LRUExpireCache // key → *Caller
	unknown  *cache.LRUExpireCache // key → error
	verdicts *cache.LRUExpireCache // question → bool

	mu   sync.Mutex
	kept map[key]*kept
}

// kept is a caller that so many have asked to be remembered.
type kept struct {
	caller *Caller
	times  int
}

// Deps are what a reviewer works with.
type Deps struct {
	Client  kubernetes.Interface
	Clock   clock.PassiveClock
	Log     *slog.Logger
	Reviews int // requests to the API server, at once
}

// New returns a reviewer that remembers nothing yet.
func New(d Deps) *Reviewer {
	return &Reviewer{
		client: d.Client, clock: d.Clock, log: d.Log,
		turns:    semaphore.NewWeighted(int64(d.Reviews)),
		known:    cache.NewLRUExpireCacheWithClock(answers, d.Clock),
		unknown:  cache.NewLRUExpireCacheWithClock(refusals, d.Clock),
		verdicts: cache.NewLRUExpireCacheWithClock(answers, d.Clock),
		kept:     map[key]*kept{},
	}
}

// Client is who has a token that the API server itself takes, or that was made for us.
func (r *Reviewer) Client(ctx context.Context, token string) (*Caller, error) {
	audience := "" // the API server's own
	if c := claimsOf(token); c.has(v1alpha1.TokenAudience) {
		audience = v1alpha1.TokenAudience
	}
	return r.Caller(ctx, audience, token)
}

// Caller says who has a token that is for an audience, from memory or by asking; empty: the API server's own.
func (r *Reviewer) Caller(ctx context.Context, audience, token string) (*Caller, error) {
	k := keyOf(audience, token)
	if found, ok := r.known.Get(k); ok {
		c, _ := found.(*Caller)
		return c, nil
	}
	if c := r.keeps(k); c != nil {
		return c, nil
	}
	if found, ok := r.unknown.Get(k); ok {
		err, _ := found.(error)
		return nil, err
	}
	// Whoever asks first may go away before the answer is there: the others still want it.
	flight := r.flights.DoChan(string(k[:]), func() (any, error) { return r.ask(context.WithoutCancel(ctx), k, audience, token) })
	select {
	case result := <-flight:
		c, _ := result.Val.(*Caller)
		return c, result.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Keep remembers who has a token until it is released, or ends, and not for a while alone. It is for as long as something is open
// that was opened with the token: that isn't reviewed anew either.
func (r *Reviewer) Keep(c *Caller) (release func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, ok := r.kept[c.key]
	if !ok {
		k = &kept{caller: c}
		r.kept[c.key] = k
	}
	k.times++
	return sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if k.times--; k.times == 0 {
			delete(r.kept, c.key)
		}
	})
}

// keeps is the caller that is kept for a token; nil if there is none, or the token has ended.
func (r *Reviewer) keeps(token key) *Caller {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, ok := r.kept[token]
	if !ok || !k.caller.end.IsZero() && !r.clock.Now().Before(k.caller.end) {
		return nil
	}
	return k.caller
}

// ask has the API server review a token, and remembers the answer.
func (r *Reviewer) ask(ctx context.Context, k key, audience, token string) (*Caller, error) {
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}
	if audience != "" {
		review.Spec.Audiences = []string{audience}
	}
	err := r.turn(ctx, func(ctx context.Context) (err error) {
		review, err = r.client.AuthenticationV1().TokenReviews().Create(ctx, review, metav1.CreateOptions{})
		return err
	})
	if err != nil {
		return nil, r.unavailable(err, "review a token")
	}
	s := review.Status
	stated := claimsOf(token)
	left := stated.left(r.clock.Now(), knownFor)
	if !s.Authenticated || (audience != "" && !slices.Contains(s.Audiences, audience)) || left <= 0 {
		// What the server's authenticators have to say about it may be more than a stranger should read.
		r.log.Debug("token refused", "audience", audience, "err", s.Error)
		err := &Refusal{Unauthenticated, "the token isn't valid: it has expired, is for another audience, or isn't of this cluster"}
		r.unknown.Add(k, err, unknownFor)
		return nil, err
	}
	c := &Caller{User: s.User, key: k, end: stated.end()}
	r.known.Add(k, c, left)
	return c, nil
}

// turn makes a request to the API server when there aren't too many.
func (r *Reviewer) turn(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	if r.turns.Acquire(ctx, 1) != nil {
		return errBusy
	}
	defer r.turns.Release(1)
	return do(ctx)
}

// errBusy is the error when it wasn't one's turn in time.
var errBusy = errors.New("too many at once")

// unavailable is the error for callers of which nothing is known because the API server didn't say, or wasn't asked.
func (r *Reviewer) unavailable(err error, doing string) error {
	if errors.Is(err, errBusy) { // as after a restart, when all pods come at once: no fault, and no line for each
		r.log.Debug(doing, "err", err)
		return &Refusal{Unavailable, doing + ": too many at once, try again"}
	}
	r.log.Warn(doing, "err", err)
	return &Refusal{Unavailable, doing + ": the API server doesn't answer"}
}
