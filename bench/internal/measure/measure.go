// SPDX-License-Identifier: Apache-2.0

// Package measure turns what was measured into numbers: percentiles of latencies, and the median and spread of repeated
// runs. It measures nothing itself.
package measure

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Sample is how long one thing took.
type Sample struct {
	// At is when it was due, from the beginning of the run.
	At time.Duration
	// Took is counted from then.
	Took time.Duration
}

// Run is one repetition of a measurement. Any number of goroutines may write to it.
type Run struct {
	mu        sync.Mutex
	latencies map[string][]Sample
	numbers   map[string]Number
}

// Unit is what a number counts.
type Unit string

// Number is something that is counted once in a run.
type Number struct {
	Value float64
	Unit  Unit
}

// Took notes how long one thing took.
func (r *Run) Took(what string, at, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.latencies == nil {
		r.latencies = map[string][]Sample{}
	}
	r.latencies[what] = append(r.latencies[what], Sample{At: at, Took: took})
}

// Count notes a number.
func (r *Run) Count(what string, unit Unit, value float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.numbers == nil {
		r.numbers = map[string]Number{}
	}
	r.numbers[what] = Number{Value: value, Unit: unit}
}

// Discard forgets what was due before the run was warm: connections were opened and caches filled in it.
func (r *Run) Discard(warmUp time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for what, samples := range r.latencies {
		r.latencies[what] = slices.DeleteFunc(samples, func(s Sample) bool { return s.At < warmUp })
	}
}

// Samples are what was noted, by what took the time, as they were due.
func (r *Run) Samples() map[string][]Sample {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string][]Sample{}
	for what, samples := range r.latencies {
		all[what] = slices.SortedStableFunc(slices.Values(samples), func(a, b Sample) int { return cmp.Compare(a.At, b.At) })
	}
	return all
}

// Numbers are the numbers that were noted.
func (r *Run) Numbers() map[string]Number {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.numbers)
}

// Percentile of the samples noted so far, 0 if there are none.
func (r *Run) Percentile(what string, percent float64) time.Duration {
	return time.Duration(histogram(r.Samples()[what]).ValueAtPercentile(percent))
}

// Histograms hold from a microsecond to an hour, with three digits.
const (
	shortest = int64(time.Microsecond)
	longest  = int64(time.Hour)
	digits   = 3
)

func histogram(samples []Sample) *hdrhistogram.Histogram {
	h := hdrhistogram.New(shortest, longest, digits)
	for _, s := range samples {
		// What is out of range counts as its end: it must not be missing among the slowest.
		_ = h.RecordValue(min(max(int64(s.Took), shortest), longest))
	}
	return h
}
