// SPDX-License-Identifier: Apache-2.0

// Package metric has every metric of the operator. It measures nothing itself: it is told. What it is told of pools it
// forgets when they are gone, and no label has a value for each pod, Job or message.
package metric

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

// Set is all metrics. Its methods may be called from any goroutine.
type Set struct {
	clock clock.PassiveClock
	descs poolDescs

	launches   *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	phases     *prometheus.HistogramVec
	lead       *prometheus.HistogramVec
	lost       *prometheus.CounterVec
	probes     *prometheus.HistogramVec
	probeFails *prometheus.CounterVec
	streams    prometheus.Gauge
	requests   *prometheus.CounterVec

	mu    sync.Mutex
	pools map[types.NamespacedName]*pool
}

// New registers a set. Where one is registered already, as another operator of the same process has done, it is that one.
func New(r prometheus.Registerer, c clock.PassiveClock) (*Set, error) {
	s := &Set{
		clock:      c,
		descs:      newPoolDescs(),
		launches:   launchesTotal.counter(),
		duration:   launchDuration.histogram(),
		phases:     launchPhase.histogram(),
		lead:       leadTime.histogram(),
		lost:       claimsLost.counter(),
		probes:     probeDuration.histogram(),
		probeFails: probeErrors.counter(),
		streams:    prometheus.NewGauge(prometheus.GaugeOpts{Name: gatewayStreams.Name, Help: gatewayStreams.Help}),
		requests:   apiRequests.counter(),
		pools:      map[types.NamespacedName]*pool{},
	}
	err := r.Register(s)
	if already, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if same, ok := already.ExistingCollector.(*Set); ok {
			return same, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return s, nil
}

func (s *Set) collectors() []prometheus.Collector {
	return []prometheus.Collector{s.launches, s.duration, s.phases, s.lead, s.lost, s.probes, s.probeFails, s.streams, s.requests}
}

// Describe is the registry's.
func (s *Set) Describe(out chan<- *prometheus.Desc) {
	for _, c := range s.collectors() {
		c.Describe(out)
	}
	s.descs.describe(out)
}

// Collect is the registry's.
func (s *Set) Collect(out chan<- prometheus.Metric) {
	for _, c := range s.collectors() {
		c.Collect(out)
	}
	s.collectPools(out)
}

// Launched counts a pod that was given to a launch, or with start rejected a Job that wasn't started. A pool that doesn't
// exist has no name: the label's values are those of pools.
func (s *Set) Launched(pool types.NamespacedName, start, reason string) {
	s.launches.WithLabelValues(pool.Namespace, pool.Name, start, reason).Inc()
}

// Took is how long a warm launch took in all. A trace that tells more of it may be named.
func (s *Set) Took(pool types.NamespacedName, d time.Duration, trace string) {
	observe(s.duration.WithLabelValues(pool.Namespace, pool.Name), d, trace)
}

// Phase is how long a phase of a launch took.
func (s *Set) Phase(phase string, d time.Duration, trace string) {
	observe(s.phases.WithLabelValues(phase), d, trace)
}

// observe puts a duration into a histogram. Differences of clocks that were set back count as nothing.
func observe(o prometheus.Observer, d time.Duration, trace string) {
	seconds := max(0, d).Seconds()
	if e, ok := o.(prometheus.ExemplarObserver); ok && trace != "" {
		e.ObserveWithExemplar(seconds, prometheus.Labels{"trace_id": trace})
		return
	}
	o.Observe(seconds)
}

// Warmed is how long a unit took from its creation until it was warm.
func (s *Set) Warmed(pool types.NamespacedName, d time.Duration) {
	observe(s.lead.WithLabelValues(pool.Namespace, pool.Name), d, "")
}

// ClaimLost counts a claim of a pod that wasn't idle any more.
func (s *Set) ClaimLost(pool types.NamespacedName) {
	s.lost.WithLabelValues(pool.Namespace, pool.Name).Inc()
}

// Probed is how long a busy probe took, and whether it had no usable answer.
func (s *Set) Probed(mode string, d time.Duration, failed bool) {
	observe(s.probes.WithLabelValues(mode), d, "")
	fails := s.probeFails.WithLabelValues(mode) // it is there from the first probe on, so that a rate of it is 0 and not nothing
	if failed {
		fails.Inc()
	}
}

// Streams takes note of streams that were opened, or with a negative number closed.
func (s *Set) Streams(change int) { s.streams.Add(float64(change)) }
