// SPDX-License-Identifier: Apache-2.0

package metric

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
)

// Pool is a pool as it was decided upon last.
type Pool struct {
	Idle, Busy, Starting, Unknown, Retiring, Failed int // units

	IdleTarget, Desired, Missing int
	Failures                     int  // in a row
	Push                         bool // launches start in it

	UnitSize        int        // pods of a unit
	Waiting         func() int // pods that launches wait for; asked when the metrics are read; nil: none
	PricePerPodHour float64    // 0: nothing is said about costs
}

// pool is what is remembered of one.
type pool struct {
	last  Pool
	since time.Time // until when idle has been added up
	idle  float64   // unit seconds
	cost  float64
}

// addUp adds the idle time until now; Set.mu is held.
func (p *pool) addUp(now time.Time) {
	if d := now.Sub(p.since).Seconds(); d > 0 {
		seconds := float64(p.last.Idle) * d
		p.idle += seconds
		p.cost += seconds / time.Hour.Seconds() * float64(p.last.UnitSize) * p.last.PricePerPodHour
		p.since = now
	}
}

// SetPool tells what a pool is like from now on.
func (s *Set) SetPool(name types.NamespacedName, to Pool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	p, ok := s.pools[name]
	if !ok {
		p = &pool{since: now}
		s.pools[name] = p
		if to.Push {
			s.begin(name)
		}
	}
	p.addUp(now)
	p.last = to
}

// begin has a pool's counters exist before there is anything to count: of a series that begins with 1 no increase is seen.
func (s *Set) begin(name types.NamespacedName) {
	for _, labels := range [][]string{{"warm", ""}, {"waited", ""}, {"cold", "NoneIdle"}, {"rejected", ""}} {
		s.launches.WithLabelValues(name.Namespace, name.Name, labels[0], labels[1])
	}
	s.lost.WithLabelValues(name.Namespace, name.Name)
}

// Forget deletes the series of a pool that is gone.
func (s *Set) Forget(name types.NamespacedName) {
	s.mu.Lock()
	delete(s.pools, name)
	s.mu.Unlock()
	labels := prometheus.Labels{"namespace": name.Namespace, "pool": name.Name}
	s.launches.DeletePartialMatch(labels)
	for _, v := range []*prometheus.HistogramVec{s.duration, s.lead} {
		v.DeletePartialMatch(labels)
	}
	s.lost.DeletePartialMatch(labels)
}

// poolDescs describe what is read of pools at the moment of a scrape.
type poolDescs struct {
	units, target, desired, missing, waiting, failures, idle, cost *prometheus.Desc
}

func newPoolDescs() poolDescs {
	return poolDescs{
		units: poolUnits.desc(), target: poolIdleTarget.desc(), desired: poolDesired.desc(), missing: poolMissing.desc(),
		waiting: poolWaiting.desc(), failures: poolFailures.desc(), idle: idleSeconds.desc(), cost: idleCost.desc(),
	}
}

func (d poolDescs) describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{d.units, d.target, d.desired, d.missing, d.waiting, d.failures, d.idle, d.cost} {
		out <- desc
	}
}

// collectPools sends what pools are like, outside of the lock: who reads may be slow, and who is asked has locks of his own.
func (s *Set) collectPools(out chan<- prometheus.Metric) {
	s.mu.Lock()
	now, pools := s.clock.Now(), make(map[types.NamespacedName]pool, len(s.pools))
	for name, p := range s.pools {
		p.addUp(now)
		pools[name] = *p
	}
	s.mu.Unlock()
	for name, p := range pools {
		s.descs.collect(out, name, p)
	}
}

func (d poolDescs) collect(out chan<- prometheus.Metric, name types.NamespacedName, p pool) {
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, more ...string) {
		out <- prometheus.MustNewConstMetric(desc, kind, value, append([]string{name.Namespace, name.Name}, more...)...)
	}
	for _, u := range []struct {
		state string
		units int
	}{
		{"idle", p.last.Idle},
		{"busy", p.last.Busy},
		{"starting", p.last.Starting},
		{"unknown", p.last.Unknown},
		{"retiring", p.last.Retiring},
		{"failed", p.last.Failed},
	} {
		send(d.units, prometheus.GaugeValue, float64(u.units), u.state)
	}
	waiting := 0
	if p.last.Waiting != nil {
		waiting = p.last.Waiting()
	}
	send(d.target, prometheus.GaugeValue, float64(p.last.IdleTarget))
	send(d.desired, prometheus.GaugeValue, float64(p.last.Desired))
	send(d.missing, prometheus.GaugeValue, float64(p.last.Missing))
	send(d.waiting, prometheus.GaugeValue, float64(waiting))
	send(d.failures, prometheus.GaugeValue, float64(p.last.Failures))
	send(d.idle, prometheus.CounterValue, p.idle)
	if p.last.PricePerPodHour > 0 {
		send(d.cost, prometheus.CounterValue, p.cost)
	}
}
