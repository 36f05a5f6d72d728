// SPDX-License-Identifier: Apache-2.0

package standby

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Reservation is a promise of some idle pods of a pool: others can't claim them. It is for their number, not for
// certain pods.
type Reservation struct {
	registry *Registry
	pool     *pool
	left     int
	released bool
}

// Reserve promises n idle pods, or none: then the error is ErrNoneIdle. It must be released.
func (r *Registry) Reserve(name types.NamespacedName, n int) (*Reservation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.pools[name]
	if !ok || n < 1 || p.free() < n {
		return nil, fmt.Errorf("reserve %d of %s: %w", n, name, ErrNoneIdle)
	}
	p.reserved += n
	return &Reservation{registry: r, pool: p, left: n}, nil
}

// Release gives back what wasn't claimed. It may be called again.
func (s *Reservation) Release() {
	r := s.registry
	r.mu.Lock()
	defer r.unlock()
	s.released = true
	if s.left == 0 {
		return
	}
	s.pool.reserved -= s.left
	s.left = 0
	if s.pool.free() > 0 {
		tell(r, r.onIdle, s.pool.name)
	}
	r.tidyPool(s.pool)
}

// take takes a pod out of the queue for a claim. With again, for one more in place of a pod that wasn't idle after all: it
// must be a pod that nobody else was promised.
func (s *Reservation) take(again bool) (*entry, error) {
	r := s.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case again && s.pool.free() < 1:
		return nil, fmt.Errorf("claim another pod of %s: %w", s.pool.name, ErrNoneIdle)
	case !again && s.left == 0:
		return nil, fmt.Errorf("%w: no pod of %s is left of the reservation", ErrNoneIdle, s.pool.name)
	case !again:
		s.left--
		s.pool.reserved--
	}
	e := r.pop(s.pool)
	if e == nil {
		return nil, fmt.Errorf("claim a pod of %s: %w", s.pool.name, ErrNoneIdle)
	}
	e.held = true
	return e, nil
}

// giveBack puts a pod that wasn't claimed back, and the promise with it.
func (s *Reservation) giveBack(e *entry) {
	r := s.registry
	r.mu.Lock()
	defer r.unlock()
	if !s.released {
		s.left++
		s.pool.reserved++
	}
	e.held = false
	r.settle(e)
}

// lose takes note that a pod isn't idle, although its last event says so.
func (r *Registry) lose(e *entry) {
	r.mu.Lock()
	defer r.unlock()
	e.held, e.lost = false, e.version
	if e.pool != nil {
		tell(r, r.onLost, e.pool.name)
	}
	r.settle(e)
}

// win takes note that a pod is claimed, and sends it its launch.
func (r *Registry) win(e *entry, c *Claim, text string) {
	r.mu.Lock()
	defer r.unlock()
	e.held, e.claimed = false, true
	e.owner = c.Owner
	e.launch.id, e.launch.text = c.Payload.ID, text
	e.launch.timing = c.Timing
	e.launch.timing.Claimed = r.deps.Clock.Now()
	r.settle(e)
}

// Claim claims a single pod: any that is idle, and that nobody was promised.
func (r *Registry) Claim(ctx context.Context, c Claim) (*corev1.Pod, error) {
	s, err := r.Reserve(c.Pool, 1)
	if err != nil {
		return nil, err
	}
	defer s.Release()
	return s.Claim(ctx, c)
}
