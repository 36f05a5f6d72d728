// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"slices"
	"time"
)

// Latency is the percentiles of what took some time, in milliseconds.
type Latency struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p99.9"`
	Max   float64 `json:"max"`
	Mean  float64 `json:"mean"`
	// Curve is the latency at each of Percents, for plots.
	Curve []float64 `json:"curve"`
}

// Percents are what a curve has points at. The steps grow finer towards the end, where the slowest are.
func Percents() []float64 {
	return []float64{0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 92, 94, 95, 96, 97, 98, 99, 99.5, 99.9, 100}
}

// LatencyOf sums samples up.
func LatencyOf(samples []Sample) Latency {
	if len(samples) == 0 {
		return Latency{}
	}
	h := histogram(samples)
	at := func(percent float64) float64 { return milliseconds(float64(h.ValueAtPercentile(percent))) }
	l := Latency{
		Count: len(samples), P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: milliseconds(float64(h.Max())),
		Mean: milliseconds(h.Mean()),
	}
	for _, p := range Percents() {
		l.Curve = append(l.Curve, at(p))
	}
	return l
}

func milliseconds(nanoseconds float64) float64 { return nanoseconds / float64(time.Millisecond) }

// Spread is what repeated runs made of one number.
type Spread struct {
	Unit   Unit      `json:"unit"`
	Median float64   `json:"median"`
	Low    float64   `json:"low"`
	High   float64   `json:"high"`
	Runs   []float64 `json:"runs"`
}

// SpreadOf sums the numbers of repeated runs up.
func SpreadOf(unit Unit, runs ...float64) Spread {
	s := Spread{Unit: unit, Runs: runs}
	if len(runs) == 0 {
		return s
	}
	sorted := slices.Sorted(slices.Values(runs))
	middle := len(sorted) / 2
	s.Low, s.High, s.Median = sorted[0], sorted[len(sorted)-1], sorted[middle]
	if len(sorted)%2 == 0 {
		s.Median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return s
}
