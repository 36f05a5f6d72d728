// SPDX-License-Identifier: Apache-2.0

// Package journal remembers, in memory, what happened lately in pools: for the page, for kubectl hsj top, and nothing
// that is decided. A restart empties it.
package journal

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

// How much is remembered.
const (
	Period      = 10 * time.Second // between two samples of a pool
	samples     = 360              // an hour of them
	minutes     = 60               // of latencies
	maxLaunches = 1000             // of all pools together
)

// Bounds are the upper bounds of the latencies' buckets; the last bucket, which has none, is for what took longer.
var Bounds = bounds()

func bounds() (out []time.Duration) {
	for b := 500 * time.Microsecond; b < 2*time.Minute; b *= 2 {
		out = append(out, b)
	}
	return out
}

// Start says how a launch started.
type Start string

// The ways of starting.
const (
	Warm     Start = "warm"     // at once, in a pod of the pool
	Waited   Start = "waited"   // likewise, after it waited for one
	Cold     Start = "cold"     // in a pod of its own
	Rejected Start = "rejected" // not at all
)

// Launch is one pod of a Job, from when the operator saw that it was wanted until its command began.
type Launch struct {
	Pool     types.NamespacedName
	Job, Pod string
	Start    Start
	Reason   string    // of a cold start, as in the annotation hsj.paia.tech/cold-reason
	Seen     time.Time // when the operator saw that the pod was wanted
	Started  time.Time // when it heard that the command runs

	Queue   time.Duration // from Seen until a pod was found, or a cold start was decided upon
	Claim   time.Duration // the write that made it the Job's
	Deliver time.Duration // until it was sent its command
	Begin   time.Duration // until it said that the command runs; of a cold start all that comes after Queue
}

// Total is the time from Seen until the command ran.
func (l Launch) Total() time.Duration { return l.Started.Sub(l.Seen) }

// Sample is a pool at one moment, in units; Waiting is in pods that launches wait for.
type Sample struct{ Idle, Busy, Starting, Waiting int32 }

// History is what is remembered of a pool.
type History struct {
	Pool    types.NamespacedName
	Samples []Sample  // one for each Period, the newest last
	Until   time.Time // when the newest was taken

	Minutes     []Minute // oldest first, the last is the current one; minutes without any launch are among them
	IdleSeconds float64  // idle units times seconds, since the operator leads
}

// Minute is what was launched in one minute.
type Minute struct {
	Begin     time.Time
	Starts    map[Start]int
	Reasons   map[string]int // of cold starts
	Latencies []int          // of warm and waited ones, by bucket: one more than there are Bounds
}

// Journal may be used from any goroutine.
type Journal struct {
	clock clock.PassiveClock

	mu       sync.Mutex
	launches []Launch // a ring
	next     int      // where in it the next one goes, once it is full
	pools    map[types.NamespacedName]*pool
}

type pool struct {
	samples     []Sample
	until       time.Time
	minutes     []Minute
	idleSeconds float64
}

// New returns an empty journal.
func New(c clock.PassiveClock) *Journal {
	return &Journal{clock: c, pools: map[types.NamespacedName]*pool{}}
}

// Take adds a sample of a pool.
func (j *Journal) Take(name types.NamespacedName, s Sample) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p, now := j.poolOf(name), j.clock.Now()
	if !p.until.IsZero() {
		p.idleSeconds += float64(s.Idle) * now.Sub(p.until).Seconds()
	}
	if p.samples = append(p.samples, s); len(p.samples) > samples {
		p.samples = slices.Delete(p.samples, 0, len(p.samples)-samples)
	}
	p.until = now
}

// Record adds a launch that has started, or was rejected.
func (j *Journal) Record(l Launch) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.launches) < maxLaunches {
		j.launches = append(j.launches, l)
	} else {
		j.launches[j.next] = l
		j.next = (j.next + 1) % maxLaunches
	}
	m := j.poolOf(l.Pool).minute(j.clock.Now())
	m.Starts[l.Start]++
	switch l.Start {
	case Cold:
		m.Reasons[l.Reason]++
	case Warm, Waited:
		i, _ := slices.BinarySearch(Bounds, l.Total())
		m.Latencies[i]++
	case Rejected: // it has neither
	}
}

// Forget drops a pool that is gone.
func (j *Journal) Forget(name types.NamespacedName) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.pools, name)
}

// Launches returns the newest launches that are wanted, the newest first.
func (j *Journal) Launches(limit int, wanted func(Launch) bool) []Launch {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []Launch
	for i := range j.launches {
		l := j.launches[(j.next-1-i+2*len(j.launches))%len(j.launches)]
		if len(out) < limit && wanted(l) {
			out = append(out, l)
		}
	}
	return out
}

// Pool returns what is remembered of a pool.
func (j *Journal) Pool(name types.NamespacedName) History {
	j.mu.Lock()
	defer j.mu.Unlock()
	h := History{Pool: name}
	p, ok := j.pools[name]
	if !ok {
		return h
	}
	p.minute(j.clock.Now())
	h.Samples, h.Until, h.IdleSeconds = slices.Clone(p.samples), p.until, p.idleSeconds
	for _, m := range p.minutes {
		h.Minutes = append(h.Minutes, m.clone())
	}
	return h
}
