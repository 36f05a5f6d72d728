// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"context"
	"sync"
	"time"
)

// reportTimeout bounds one report; another one follows.
const reportTimeout = 5 * time.Second

// reporter has what the pod is doing, and sees to it that the gateway learns of it. Only the newest activity counts.
type reporter struct {
	random func() float64

	mu       sync.Mutex
	activity activity
	version  int           // of activity
	taken    int           // the newest version that the gateway has
	failing  bool          // the last report could not be delivered
	changed  chan struct{} // closed, and made anew, when one of the above changes
}

func newReporter(random func() float64) *reporter {
	return &reporter{random: random, changed: make(chan struct{})}
}

// current is what the pod is doing, and which version of it that is.
func (r *reporter) current() (activity, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.activity, r.version
}

// launched tells whether the pod has been given its launch.
func (r *reporter) launched() bool {
	a, _ := r.current()
	return a.LaunchID != ""
}

// change notes what the pod is doing now.
func (r *reporter) change(a activity) (version int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a != r.activity {
		r.activity = a
		r.version++
		r.tell()
	}
	return r.version
}

// took notes that the gateway has a version.
func (r *reporter) took(version int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken, r.failing = max(r.taken, version), false
	r.tell()
}

func (r *reporter) failed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failing = true
	r.tell()
}

func (r *reporter) tell() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// await waits until a question is answered with yes, or the context ends.
func (r *reporter) await(ctx context.Context, question func() bool) bool {
	for {
		r.mu.Lock()
		yes, changed := question(), r.changed
		r.mu.Unlock()
		if yes {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// delivered waits until the gateway has a version, and tells whether it does. It gives up when the gateway can't be reached.
func (r *reporter) delivered(ctx context.Context, version int) bool {
	has := false
	r.await(ctx, func() bool {
		has = r.taken >= version
		return has || r.failing
	})
	return has
}

// run sends each change, and again until it is taken: by this report, a newer one, or the stream's next request.
func (r *reporter) run(ctx context.Context, send func(context.Context, activity) error) {
	for failures := 0; ; {
		if !r.await(ctx, func() bool { return r.taken < r.version }) {
			return
		}
		a, version := r.current()
		attempt, cancel := context.WithTimeout(ctx, reportTimeout)
		err := send(attempt, a)
		cancel()
		if err == nil {
			r.took(version)
			failures = 0
			continue
		}
		r.failed()
		pause, cancel := context.WithTimeout(ctx, Backoff(failures, r.random()))
		if r.await(pause, func() bool { return !r.failing }) {
			failures = 0
		} else {
			failures++
		}
		cancel()
	}
}
