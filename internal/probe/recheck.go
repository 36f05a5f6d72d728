// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"container/heap"
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Recheck asks the targets now and waits for their answers: the last look before a unit is retired. An answer to a
// question that was under way before isn't good enough. Targets that didn't answer before ctx was done are Unknown, as
// are those that Set hasn't declared, and all while the prober doesn't run. The readings are kept, as any.
func (p *Prober) Recheck(ctx context.Context, name types.NamespacedName, targets []Target) map[types.UID]Reading {
	waiting, reason := p.want(name, targets)
	answered := map[types.UID]bool{}
	for uid, w := range waiting {
		select {
		case answered[uid] = <-w:
		case <-ctx.Done():
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	readings := make(map[types.UID]Reading, len(targets))
	for _, t := range targets {
		readings[t.UID] = p.rechecked(name, t.UID, answered[t.UID], reason)
	}
	return readings
}

// want asks for answers to questions that are asked from now on.
func (p *Prober) want(name types.NamespacedName, targets []Target) (map[types.UID]chan bool, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running {
		return nil, reasonNotRunning
	}
	o := p.pools[name]
	if o == nil {
		return nil, reasonNotTarget
	}
	now := p.options.Clock.Now()
	waiting := make(map[types.UID]chan bool, len(targets))
	for _, t := range targets {
		e := o.entries[t.UID]
		if e == nil || waiting[t.UID] != nil {
			continue
		}
		w := make(chan bool, 1)
		waiting[t.UID] = w
		if o.source != nil {
			o.source.waiters = append(o.source.waiters, w)
			o.source.kick()
			continue
		}
		e.waiters = append(e.waiters, w)
		o.hurry(e, now)
	}
	p.wakeUp()
	return waiting, reasonNoAnswer
}

// hurry makes an entry the next to be asked.
func (o *pool) hurry(e *entry, now time.Time) {
	if e.index != aground {
		e.due = now.Add(-idleWait) // before all that have merely become due
		heap.Fix(&o.queue, e.index)
	}
}

// rechecked is the reading of a target that was asked again, or should have been. p.mu is held.
func (p *Prober) rechecked(name types.NamespacedName, uid types.UID, answered bool, reason string) Reading {
	o := p.pools[name]
	if o == nil {
		return Reading{Reason: reason}
	}
	e := o.entries[uid]
	if e == nil {
		return Reading{Reason: reasonNotTarget}
	}
	if !answered {
		return Reading{Last: e.reading.Last, Reason: reason, SourceDown: e.reading.SourceDown}
	}
	return e.reading
}
