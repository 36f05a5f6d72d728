// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"k8s.io/utils/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSchedules(t *testing.T) {
	for name, tc := range map[string]struct{ got, want Schedule }{
		"at an interval":     {Every(time.Second, 3), Schedule{0, time.Second, 2 * time.Second}},
		"none":               {Every(time.Second, 0), Schedule{}},
		"a burst":            {Burst(2), Schedule{0, 0}},
		"nothing per second": {Poisson(rand.New(rand.NewPCG(1, 1)), 0, time.Hour), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.got); diff != "" {
				t.Errorf("schedule (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPoissonIsOneByItsMeanAndItsSpread(t *testing.T) {
	const perSecond, seconds = 50.0, 400
	s := Poisson(rand.New(rand.NewPCG(7, 7)), perSecond, seconds*time.Second)
	if again := Poisson(rand.New(rand.NewPCG(7, 7)), perSecond, seconds*time.Second); !slices.Equal(s, again) {
		t.Error("the same seed made another schedule")
	}
	if !slices.IsSorted(s) {
		t.Error("it isn't in order")
	}
	inSecond := make([]float64, seconds)
	for _, at := range s {
		inSecond[int(at/time.Second)]++
	}
	mean := float64(len(s)) / seconds
	variance := 0.0
	for _, n := range inSecond {
		variance += (n - mean) * (n - mean) / seconds
	}
	// Five standard deviations, and of a Poisson process the variance of counts is their mean.
	if deviation := 5 * math.Sqrt(perSecond/seconds); math.Abs(mean-perSecond) > deviation {
		t.Errorf("%.2f requests a second, want %.0f ± %.2f", mean, perSecond, deviation)
	}
	if ratio := variance / mean; ratio < 0.6 || ratio > 1.4 {
		t.Errorf("the variance of requests in a second is %.2f times their mean, want 1", ratio)
	}
}

func TestASlowRequestHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		took := map[int]time.Duration{}
		behind := Offer(t.Context(), clock.RealClock{}, Every(time.Second, 4), func(_ context.Context, r Request) {
			if r.Index == 0 {
				<-time.After(time.Minute)
			}
			mu.Lock()
			defer mu.Unlock()
			took[r.Index] = time.Since(r.Due)
		})
		if diff := cmp.Diff(map[int]time.Duration{0: time.Minute, 1: 0, 2: 0, 3: 0}, took); diff != "" {
			t.Errorf("latencies (-want +got):\n%s", diff)
		}
		if behind != 0 {
			t.Errorf("it was %s behind", behind)
		}
	})
}

// lateClock is a clock whose timers are late, as those of a busy machine are.
type lateClock struct {
	clock.RealClock
	by time.Duration
}

func (c lateClock) NewTimer(d time.Duration) clock.Timer { return c.RealClock.NewTimer(d + c.by) }

func TestLatencyCountsFromWhenTheRequestWasDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const late = 300 * time.Millisecond
		var latencies []time.Duration
		behind := Offer(t.Context(), lateClock{by: late}, Schedule{time.Second}, func(_ context.Context, r Request) {
			latencies = append(latencies, time.Since(r.Due))
		})
		if !slices.Equal(latencies, []time.Duration{late}) || behind != late {
			t.Errorf("latencies are %v and it was %s behind, want %s", latencies, behind, late)
		}
	})
}

func TestTheEndOfTheContextEndsTheLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		var made atomic.Int32
		Offer(ctx, clock.RealClock{}, Every(time.Second, 10), func(context.Context, Request) { made.Add(1) })
		if n := made.Load(); n != 3 {
			t.Errorf("%d requests were made, want the first three", n)
		}
	})
}
