// SPDX-License-Identifier: Apache-2.0

package launch

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// ageing is how long a Job waits until it has gained one step of priority: each whole minute counts as one. A Job of
// priority p therefore stands where one of priority 0 would stand that had come p minutes earlier; that doesn't change
// while it waits, and everybody's turn comes.
const ageing = time.Minute

// waiter is a Job that waits for idle pods of a pool.
type waiter struct {
	job  types.UID
	rank int64  // in milliseconds; the least comes first
	seq  uint64 // the order in which they came
	need int    // how many pods it lacks
	gang bool   // it takes all that it needs at once, or none
}

// rank is the place of a Job in the queue of its pool.
func rank(since time.Time, priority int32) int64 {
	return since.UnixMilli() - int64(priority)*ageing.Milliseconds()
}

// parsePriority reads the annotation; ok is false if it isn't an integer of 32 bits, and the priority then 0.
func parsePriority(text string) (priority int32, ok bool) {
	if text == "" {
		return 0, true
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < math.MinInt32 || n > math.MaxInt32 {
		return 0, false
	}
	return int32(n), true
}

func (w waiter) compare(o waiter) int {
	return cmp.Or(cmp.Compare(w.rank, o.rank), cmp.Compare(w.seq, o.seq))
}

// takes is how many pods a Job takes at least when its turn comes.
func (w waiter) takes() int {
	if w.gang {
		return w.need
	}
	return 1
}

// insert puts a Job in its place.
func insert(queue []waiter, w waiter) []waiter {
	return slices.Insert(queue, index(queue, w), w)
}

// index is the place of a Job in the queue, or the one that it would have: how many are before it.
func index(queue []waiter, w waiter) int {
	i, _ := slices.BinarySearchFunc(queue, w, waiter.compare)
	return i
}

// remove takes a Job out of the queue.
func remove(queue []waiter, w waiter) []waiter {
	if i, found := slices.BinarySearchFunc(queue, w, waiter.compare); found {
		return slices.Delete(queue, i, i+1)
	}
	return queue
}

// Of a queue no more is looked at than so many idle pods are enough for: what Jobs lack now is found out one by one, and in a
// long queue that would take longer than the launch of the first of them.

// admits tells whether it is a Job's turn when so many pods are idle: there must be enough for all that come before it,
// too. So nobody overtakes, and a gang that waits for many isn't kept waiting by small ones that are content with few.
func admits(queue iter.Seq[waiter], w waiter, idle int) bool {
	if idle < w.takes() {
		return false
	}
	for o := range queue {
		if o.compare(w) >= 0 {
			break
		}
		if o.job != w.job && o.need > 0 {
			idle -= o.need
		}
		if idle < w.takes() {
			return false
		}
	}
	return true
}

// next lists the Jobs whose turn it is when so many pods are idle.
func next(queue iter.Seq[waiter], idle int) []types.UID {
	if idle <= 0 {
		return nil
	}
	var jobs []types.UID
	for w := range queue {
		if w.need <= 0 {
			continue
		}
		if idle < w.takes() {
			break
		}
		jobs = append(jobs, w.job)
		if idle -= min(w.need, idle); idle == 0 {
			break
		}
	}
	return jobs
}
