// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// stride is how long after a pass over a pool began the next one begins at the earliest. The first event after a quiet time
// has its pass at once; in a burst, each pass sees what many events have told, and costs as much as one that sees one.
const stride = 50 * time.Millisecond

// pace knows when pools may be looked at again.
type pace struct {
	mu   sync.Mutex
	next map[types.NamespacedName]time.Time
}

// begin notes that a pass over a pool begins.
func (p *pace) begin(name types.NamespacedName, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil {
		p.next = map[types.NamespacedName]time.Time{}
	}
	p.next[name] = now.Add(stride)
}

// wait is how long an event of a pool has to wait for its pass.
func (p *pace) wait(name types.NamespacedName, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	// A clock that was set back makes nobody wait for longer than a stride.
	return min(max(0, p.next[name].Sub(now)), stride)
}

// forget drops what is known of a pool.
func (p *pace) forget(name types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.next, name)
}
