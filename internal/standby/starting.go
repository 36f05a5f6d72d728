// SPDX-License-Identifier: Apache-2.0

package standby

import (
	"context"
	"time"

	"k8s.io/utils/clock"
)

// starting is how long a pod still has for starting what it was given. Only the time during which it has a stream counts:
// without one it may be at work, and can't say so.
type starting struct {
	left  time.Duration // 0: not given anything yet
	since time.Time
	timer clock.Timer
	stuck bool // OnStuck was told
}

// await counts the time until a pod must have started; r.mu is held.
func (r *Registry) await(e *entry) {
	t := &e.launch.starting
	if t.left == 0 {
		t.left = defaultStartTimeout
		if e.pool != nil && e.pool.settings.StartTimeout > 0 {
			t.left = e.pool.settings.StartTimeout
		}
	}
	t.since = r.deps.Clock.Now()
	s := e.stream
	// In a goroutine of its own, since a fake clock calls with its own mutex held.
	t.timer = r.deps.Clock.AfterFunc(t.left, func() { go r.expire(s) })
}

// pause stops counting; r.mu is held.
func (r *Registry) pause(e *entry) {
	t := &e.launch.starting
	if t.timer == nil {
		return
	}
	t.timer.Stop()
	t.timer = nil
	t.left = max(t.left-r.deps.Clock.Since(t.since), 1)
}

// expire is called when the time is up.
func (r *Registry) expire(s *Stream) {
	r.mu.Lock()
	defer r.unlock()
	e := s.entry
	if e.stream != s || e.launch.told || e.launch.stuck || e.launch.timer == nil {
		return
	}
	e.launch.stuck = true
	tell(r, r.onStuck, e.pod())
}

const (
	// attemptTimeout is how long one request may take.
	attemptTimeout = 5 * time.Second
	shortestPause  = 50 * time.Millisecond
	longestPause   = 2 * time.Second
)

// pause is the time between attempts; it doubles.
type pause struct{ next time.Duration }

func newPause() *pause { return &pause{next: shortestPause} }

// wait returns false if ctx is done first.
func (p *pause) wait(ctx context.Context, c clock.Clock) bool {
	timer := c.NewTimer(p.next)
	defer timer.Stop()
	p.next = min(2*p.next, longestPause)
	select {
	case <-timer.C():
		return true
	case <-ctx.Done():
		return false
	}
}
