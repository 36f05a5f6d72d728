// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"math"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/condition"
	"github.com/paia-tech/hotstandbyjob/internal/pool"
)

// memory is what is remembered of a pool between two passes. Passes over one pool don't overlap, so that only the map
// of all needs a lock. All of it can be lost: what matters is in the objects.
type memory struct {
	uid       types.UID
	decided   pool.Memory
	admission admission
	password  password
	// unsure are names of Jobs, or of plain pods, that were chosen and that nothing was seen of yet. They are used again before new ones are, so that a Job
	// that was made after all isn't made twice.
	unsure  []string
	status  written
	podless map[string]time.Time // units without pods, by when they were first seen so
	failed  map[string]bool      // failed units that an event has been sent about
	said    map[string]string
	lead    lead
	// uncertified is since when the gateway's certificate has been missing for what is to be made; zero: it isn't.
	uncertified time.Time
}

// admission is the server's opinion of the Jobs of a revision.
type admission struct {
	revision string
	refusal  condition.Trouble // that no Job is made for
	trouble  condition.Trouble // of the pods, that goes by itself
	tries    int
	next     time.Time // when to ask again; zero: no need
}

// written is when the status was written last, and when one that waits is due; zero: none waits.
type written struct{ at, due time.Time }

type memories struct {
	mu     sync.Mutex
	byPool map[types.NamespacedName]*memory
}

// of is the memory of a pool: a new one, filled with what its status tells, when it was not seen before or was deleted
// and made again.
func (m *memories) of(h *v1alpha1.HotStandbyJob) *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := types.NamespacedName{Namespace: h.Namespace, Name: h.Name}
	if known := m.byPool[name]; known != nil && known.uid == h.UID {
		return known
	}
	if m.byPool == nil {
		m.byPool = map[types.NamespacedName]*memory{}
	}
	fresh := &memory{uid: h.UID, failed: map[string]bool{}, said: map[string]string{}}
	fresh.decided.Failures.Revision = h.Status.CurrentRevision
	if h.Status.ConsecutiveFailures > 0 && h.Status.LastFailureTime != nil {
		fresh.decided.Failures.Rounds = int(h.Status.ConsecutiveFailures)
		fresh.decided.Failures.Last = h.Status.LastFailureTime.Time
		fresh.decided.Failures.Held = math.MaxInt32 // how many it were is forgotten: all wait
	}
	m.byPool[name] = fresh
	return fresh
}

func (m *memories) forget(name types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.byPool, name)
}
