// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"container/heap"
	"context"
	"time"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// idleWait is how long the loop waits when nothing is due at all; it is woken when something is.
const idleWait = time.Hour

// flight is one question to one pod, under way.
type flight struct {
	pool    *pool
	entry   *entry
	timeout time.Duration
	asked   time.Time
	waiters []chan<- bool
	cutOff  bool // exec: the command was left to itself
}

func (f *flight) key() flightKey { return flightKey{pool: f.pool.name, uid: f.entry.target.UID} }

// takeOff returns the questions to ask now: what is due, pools in turn, within the bounds. A pool that asks nobody may
// always ask one, so that no number of pods that don't answer silences another pool. p.mu is held.
func (p *Prober) takeOff(now time.Time) []flight {
	var started []flight
	for more := true; more; {
		more = false
		share := p.share(now)
		for range p.order {
			o := p.order[p.turn%len(p.order)]
			p.turn = (p.turn + 1) % len(p.order)
			if o.flying > 0 && len(p.flights) >= p.options.Workers {
				continue
			}
			if f, ok := p.next(o, share, now); ok {
				started = append(started, f)
				more = true
			}
		}
	}
	return started
}

// share is how many pods of one pool may be asked at once: what there is, in equal parts for the pools that have
// something to ask, with one part left over so that the next one needn't wait for pods that don't answer.
func (p *Prober) share(now time.Time) int {
	asking := 0
	for _, o := range p.order {
		if o.flying > 0 || o.hasDue(now) {
			asking++
		}
	}
	return max(1, p.options.Workers/(asking+1))
}

func (o *pool) hasDue(now time.Time) bool { return len(o.queue) > 0 && !o.queue[0].due.After(now) }

// next takes the pool's next question out of its queue, if it may be asked.
func (p *Prober) next(o *pool, share int, now time.Time) (flight, bool) {
	for o.flying < share && o.hasDue(now) {
		e, ok := heap.Pop(&o.queue).(*entry)
		if !ok {
			return flight{}, false
		}
		f := flight{pool: o, entry: e, timeout: o.pace.timeout, asked: now, waiters: e.waiters}
		if _, asked := p.flights[f.key()]; asked {
			continue // under an earlier question: land puts it back
		}
		e.waiters = nil
		o.flying++
		p.flights[f.key()] = struct{}{}
		return f, true
	}
	return flight{}, false
}

// nothingBefore is when the loop must look again, if nobody wakes it. What is due but may not be asked yet doesn't
// count: it is looked at when a flight lands. p.mu is held.
func (p *Prober) nothingBefore(now time.Time) time.Time {
	earliest := now.Add(idleWait)
	for _, o := range p.order {
		if !o.reviewAt.IsZero() && o.reviewAt.Before(earliest) {
			earliest = o.reviewAt
		}
		if len(o.queue) > 0 && !o.hasDue(now) && o.queue[0].due.Before(earliest) {
			earliest = o.queue[0].due
		}
	}
	return earliest
}

func (p *Prober) fly(ctx context.Context, f flight) {
	bounded, cancel := context.WithTimeout(ctx, f.timeout)
	r := p.ask(bounded, &f)
	cancel()
	if ctx.Err() == nil {
		p.options.Observe(f.pool.question.mode, p.options.Clock.Since(f.asked), r.Signal == Unknown)
	}
	p.land(&f, r, ctx.Err() == nil)
}

func (p *Prober) ask(ctx context.Context, f *flight) Reading {
	if f.pool.question.mode == v1alpha1.BusyByHTTP {
		return p.askHTTP(ctx, f)
	}
	return p.askExec(ctx, f)
}

// land keeps an answer, unless it isn't one (the prober is ending) or the question isn't asked any more.
func (p *Prober) land(f *flight, r Reading, usable bool) {
	p.mu.Lock()
	delete(p.flights, f.key())
	f.pool.flying--
	var changed []*pool
	o := p.pools[f.pool.name]
	current := o != nil && o.entries[f.entry.target.UID] == f.entry
	if current && usable {
		if f.entry.record(r) {
			changed = append(changed, o)
		}
		f.entry.cutOff++
		if !f.cutOff || f.timeout < o.pace.timeout {
			f.entry.cutOff = 0
		}
		f.entry.due = o.again(f.entry, f.asked, p.options.Rand)
		if len(f.entry.waiters) > 0 {
			f.entry.due = f.asked // asked for again meanwhile
		}
	}
	answer(&f.waiters, current && usable)
	p.requeue(o, f)
	p.wakeUp()
	p.mu.Unlock()
	p.notify(changed)
}

// requeue puts the pod's entry back: the one that was asked, or the one that has waited for this flight to land.
func (p *Prober) requeue(o *pool, f *flight) {
	if o == nil || o.source != nil {
		return
	}
	if e := o.entries[f.entry.target.UID]; e != nil && e.index == aground {
		heap.Push(&o.queue, e)
	}
}

// review looks again at the pools of which a reading has gone stale. p.mu is held.
func (p *Prober) review(now time.Time) (changed []*pool) {
	for _, o := range p.order {
		if !o.reviewAt.IsZero() && !o.reviewAt.After(now) && o.evaluate(now) {
			changed = append(changed, o)
		}
	}
	return changed
}
