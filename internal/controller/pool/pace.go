// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
)

// A pool is looked at once in a stride, and as often as passesAtOnce after a quiet time: single events have their pass at once,
// and in a burst each pass sees what many events have told, and costs as much as one that sees one.
const (
	stride       = 50 * time.Millisecond
	passesAtOnce = 5
)

// pace knows when pools may be looked at again.
type pace struct {
	mu    sync.Mutex
	pools map[types.NamespacedName]*rate.Limiter
}

// of is the limiter of a pool; p.mu is held.
func (p *pace) of(name types.NamespacedName) *rate.Limiter {
	l, ok := p.pools[name]
	if !ok {
		if p.pools == nil {
			p.pools = map[types.NamespacedName]*rate.Limiter{}
		}
		l = rate.NewLimiter(rate.Every(stride), passesAtOnce)
		p.pools[name] = l
	}
	return l
}

// begin notes that a pass over a pool begins, whoever asked for it.
func (p *pace) begin(name types.NamespacedName, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of(name).AllowN(now, 1)
}

// wait is how long an event of a pool has to wait for its pass.
func (p *pace) wait(name types.NamespacedName, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	missing := 1 - p.of(name).TokensAt(now)
	return max(0, time.Duration(missing*float64(stride)))
}

// forget drops what is known of a pool.
func (p *pace) forget(name types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.pools, name)
}
