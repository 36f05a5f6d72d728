// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPercentilesAreThoseOfTheSamples(t *testing.T) {
	var samples []Sample
	for i := 1000; i >= 1; i-- {
		samples = append(samples, Sample{Took: time.Duration(i) * time.Millisecond})
	}
	l := LatencyOf(samples)
	for name, tc := range map[string]struct{ got, want float64 }{
		"p50": {l.P50, 500}, "p90": {l.P90, 900}, "p99": {l.P99, 990}, "p99.9": {l.P999, 999}, "max": {l.Max, 1000}, "mean": {l.Mean, 500.5},
		"the curve's first": {l.Curve[0], 1}, "the curve's last": {l.Curve[len(l.Curve)-1], 1000},
	} {
		if math.Abs(tc.got-tc.want) > tc.want/500 { // what three digits hold
			t.Errorf("%s is %.2f ms, want %.0f", name, tc.got, tc.want)
		}
	}
	if l.Count != 1000 || len(l.Curve) != len(Percents()) {
		t.Errorf("count is %d, and the curve has %d points", l.Count, len(l.Curve))
	}
}

func TestNoSamples(t *testing.T) {
	if diff := cmp.Diff(Latency{}, LatencyOf(nil)); diff != "" {
		t.Errorf("latency (-want +got):\n%s", diff)
	}
	if got := new(Run).Percentile("nothing", 50); got != 0 {
		t.Errorf("the median of nothing is %s", got)
	}
}

func TestWhatIsOutOfRangeIsNotLost(t *testing.T) {
	l := LatencyOf([]Sample{{Took: -time.Second}, {Took: 3 * time.Hour}})
	if l.Count != 2 || l.Max < 3_599_000 {
		t.Errorf("latency is %+v, want two samples of which the slowest took an hour", l)
	}
}

func TestARunKeepsWhatWasDueAfterItsWarmUp(t *testing.T) {
	var r Run
	var wait sync.WaitGroup
	for i := range 10 {
		wait.Go(func() { r.Took("launch", time.Duration(i)*time.Second, time.Millisecond) })
	}
	wait.Wait()
	r.Count("writes", "1", 9)
	r.Discard(8 * time.Second)
	want := map[string][]Sample{"launch": {{8 * time.Second, time.Millisecond}, {9 * time.Second, time.Millisecond}}}
	if diff := cmp.Diff(want, r.Samples()); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]Number{"writes": {9, "1"}}, r.Numbers()); diff != "" {
		t.Errorf("numbers (-want +got):\n%s", diff)
	}
}

func TestSpreadOf(t *testing.T) {
	for name, tc := range map[string]struct {
		runs []float64
		want Spread
	}{
		"no run":     {nil, Spread{Unit: "ms"}},
		"one":        {[]float64{3}, Spread{"ms", 3, 3, 3, []float64{3}}},
		"an odd one": {[]float64{9, 1, 5}, Spread{"ms", 5, 1, 9, []float64{9, 1, 5}}},
		"even":       {[]float64{4, 1, 2, 9}, Spread{"ms", 3, 1, 9, []float64{4, 1, 2, 9}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, SpreadOf("ms", tc.runs...)); diff != "" {
				t.Errorf("spread (-want +got):\n%s", diff)
			}
		})
	}
}
