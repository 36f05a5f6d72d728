// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"container/heap"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// pool is what is probed for one HotStandbyJob. Prober.mu guards it.
type pool struct {
	name     types.NamespacedName
	question question
	pace     pace
	entries  map[types.UID]*entry

	queue  queue // http, exec: the entries that aren't being asked
	flying int   // http, exec: how many are

	source   *source   // redis
	reviewAt time.Time // redis: when an entry goes stale; zero if none will
}

// entry is a pod of a pool, and what is known of it.
type entry struct {
	target  Target
	reading Reading
	waiters []chan<- bool // told when an answer to a question asked from now on is there

	due    time.Time // http, exec
	index  int       // in pool.queue; aground while it isn't there
	spread bool      // http, exec: its first period is shortened by chance, so that pods started together drift apart
	cutOff int       // exec: how many commands in a row had to be left to themselves

	registered bool // redis: it had an entry in the hash
}

// longestBackOff is how seldom a pod in which commands hang is asked, unless its period is longer.
const longestBackOff = 5 * time.Minute

// aground is the index of an entry that is in no queue.
const aground = -1

func newPool(name types.NamespacedName, asked question) *pool {
	return &pool{name: name, question: asked, entries: map[types.UID]*entry{}}
}

// retarget makes the entries be those of the targets, and says whether any is new. What an earlier pool of the name knew
// is kept as far as it still means the same.
func (o *pool) retarget(targets []Target, before *pool, now time.Time) (fresh bool) {
	wanted := make(map[types.UID]struct{}, len(targets))
	for _, t := range targets {
		wanted[t.UID] = struct{}{}
		if e, ok := o.entries[t.UID]; !ok || e.target != t {
			o.enter(t, before, now)
			fresh = true
		}
	}
	for uid, e := range o.entries {
		if _, ok := wanted[uid]; !ok {
			o.leave(e)
		}
	}
	return fresh
}

func (o *pool) enter(t Target, before *pool, now time.Time) {
	e := &entry{target: t, due: now, index: aground, spread: true, reading: Reading{Reason: reasonNotAsked}}
	if before != nil {
		e.inherit(before.entries[t.UID], before, o)
	}
	if old, ok := o.entries[t.UID]; ok {
		o.leave(old)
	}
	o.entries[t.UID] = e
	if o.source == nil {
		heap.Push(&o.queue, e)
	}
}

// inherit takes over what is still true of the pod. That it once registered is kept from one hash to another: it has
// started then, and no missing entry makes it start again. What it was last is kept too, unless the answers of then mean
// something else now.
func (e *entry) inherit(old *entry, before, after *pool) {
	if old == nil || before.question.mode != after.question.mode {
		return
	}
	e.registered = old.registered
	if before.question.successIsBusy == after.question.successIsBusy {
		e.reading.Last = old.reading.Last
	}
}

func (o *pool) leave(e *entry) {
	if e.index != aground {
		heap.Remove(&o.queue, e.index)
	}
	delete(o.entries, e.target.UID)
	answer(&e.waiters, false)
}

// dismiss lets go of everybody who waits for an answer of a pool that is no longer probed.
func (o *pool) dismiss() {
	for _, e := range o.entries {
		answer(&e.waiters, false)
	}
}

// setPace says whether the pace is another one. After a shorter period, or with more time for the answer, nothing stays
// due later than the new period allows.
func (o *pool) setPace(to pace, now time.Time, rnd func() float64) bool {
	if o.pace == to {
		return false
	}
	sooner := to.period < o.pace.period || to.timeout > o.pace.timeout
	o.pace = to
	if o.source != nil {
		o.reviewAt = now
	}
	if sooner {
		for _, e := range o.entries {
			e.cutOff = 0 // with more time, a command that hung may only be slow
		}
		for _, e := range o.queue {
			if latest := now.Add(to.period); e.due.After(latest) {
				e.due = now.Add(time.Duration(rnd() * float64(to.period)))
			}
		}
		heap.Init(&o.queue)
	}
	return true
}

// again returns when a pod that was asked at a time is due again.
func (o *pool) again(e *entry, asked time.Time, rnd func() float64) time.Time {
	least, span := 0.95, 0.1
	if e.spread {
		least, span = 0.5, 0.5
		e.spread = false
	}
	return asked.Add(time.Duration((least + span*rnd()) * float64(o.period(e))))
}

// period is how long until a pod is asked again. Nothing can stop a command through the API server: one that hangs goes
// on in the container when we no longer wait for it. So that these don't add up, a pod in which they hang is asked ever
// less often.
func (o *pool) period(e *entry) time.Duration {
	backedOff := min(o.pace.period<<min(e.cutOff, 16), longestBackOff)
	return max(o.pace.period, backedOff)
}

// record keeps a reading, and says whether it is another one.
func (e *entry) record(r Reading) bool {
	r.Last = r.Signal
	if r.Signal == Unknown {
		r.Last = e.reading.Last
	}
	changed := e.reading != r
	e.reading = r
	return changed
}

// answer tells those who wait, none of whom is waiting afterwards.
func answer(waiters *[]chan<- bool, asked bool) {
	for _, w := range *waiters {
		w <- asked // of capacity 1, and told once
	}
	*waiters = nil
}

// queue is a heap of entries by the time at which they are due.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push is heap's, not for callers.
func (q *queue) Push(x any) {
	e, ok := x.(*entry)
	if !ok {
		return
	}
	e.index = len(*q)
	*q = append(*q, e)
}

// Pop is heap's, not for callers.
func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	e.index = aground
	return e
}
