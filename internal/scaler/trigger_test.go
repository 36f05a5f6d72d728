// SPDX-License-Identifier: Apache-2.0

package scaler

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paia-tech/hotstandbyjob/internal/journal"
)

func TestParse(t *testing.T) {
	for name, tc := range map[string]struct {
		metadata map[string]string
		want     Trigger
	}{
		"what is needed": {
			map[string]string{"pool": "game", "metric": "busy", "target": "4"},
			Trigger{Pool: "game", Metric: Busy, Target: 4, Minutes: 5},
		},
		"all there is, and what is KEDA's": {
			map[string]string{
				"pool": "game", "metric": "missRatio", "target": "0.05", "activationTarget": "0.01", "minutes": "60",
				"scalerAddress": "hotstandbyjob-gateway.ops.svc:7445", "enableTLS": "true",
			},
			Trigger{Pool: "game", Metric: MissRatio, Target: 0.05, Activation: 0.01, Minutes: 60},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(tc.metadata)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		metadata map[string]string
		want     []string // each fault begins with the field and says the remedy
	}{
		"nothing": {nil, []string{
			"metadata.pool is missing: it must be the name of a HotStandbyJob in the same namespace",
			"metadata.metric is missing: it must be one of waitingLaunches, hitRatio, missRatio, idle, busy",
			"metadata.target is missing: it must be a number from 0.001 to 1000000000",
		}},
		"an unknown metric":       {with("metric", "waiting"), []string{`metadata.metric is "waiting": it must be one of waitingLaunches, `}},
		"no pool":                 {with("pool", ""), []string{`metadata.pool is "": it must be`}},
		"a target of nothing":     {with("target", "0"), []string{`metadata.target is "0": it must be a number from 0.001`}},
		"a target that is none":   {with("target", "NaN"), []string{`metadata.target is "NaN": it must be`}},
		"a target without an end": {with("target", "Inf"), []string{`metadata.target is "Inf": it must be`}},
		"less than no activation": {with("activationTarget", "-1"), []string{`metadata.activationTarget is "-1": it must be a number from 0 to`}},
		"an empty activation":     {with("activationTarget", ""), []string{`metadata.activationTarget is "": it must be`}},
		"no minutes":              {with("minutes", "0"), []string{`metadata.minutes is "0": it must be a whole number from 1 to 60`}},
		"more than is remembered": {with("minutes", "61"), []string{`metadata.minutes is "61": it must be`}},
		"a field in another case": {with("ActivationTarget", "1"), []string{"metadata.ActivationTarget isn't known: it must be written activationTarget"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(tc.metadata)
			if err == nil {
				t.Fatal("there is no error")
			}
			got := strings.Split(err.Error(), "\n")
			if len(got) != len(tc.want) {
				t.Fatalf("the faults are %q, want %q", got, tc.want)
			}
			for i, want := range tc.want {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("fault %d is %q, want %q", i, got[i], want)
				}
			}
		})
	}
}

// with is good metadata with one field that is different.
func with(field, text string) map[string]string {
	m := map[string]string{"pool": "game", "metric": "busy", "target": "4"}
	m[field] = text
	return m
}

// minute is one with so many launches.
func minute(warm, waited, cold, rejected int) journal.Minute {
	return journal.Minute{Begin: time.Time{}, Starts: map[journal.Start]int{
		journal.Warm: warm, journal.Waited: waited, journal.Cold: cold, journal.Rejected: rejected,
	}}
}

func TestValue(t *testing.T) {
	busy := Pool{Idle: 3, Busy: 7, Waiting: 2, Minutes: []journal.Minute{
		minute(0, 0, 100, 0), minute(3, 1, 0, 5), minute(0, 0, 0, 0), minute(2, 0, 2, 0),
	}}
	for name, tc := range map[string]struct {
		trigger Trigger
		pool    Pool
		want    float64
	}{
		"launches that wait":                      {Trigger{Metric: WaitingLaunches}, busy, 2},
		"idle units":                              {Trigger{Metric: Idle}, busy, 3},
		"busy units":                              {Trigger{Metric: Busy}, busy, 7},
		"hits of the last minutes":                {Trigger{Metric: HitRatio, Minutes: 3}, busy, 0.75},
		"misses of the last minutes":              {Trigger{Metric: MissRatio, Minutes: 3}, busy, 0.25},
		"the current minute alone":                {Trigger{Metric: MissRatio, Minutes: 1}, busy, 0.5},
		"more minutes than there are":             {Trigger{Metric: MissRatio, Minutes: 60}, busy, 102.0 / 108},
		"all hit where nothing was launched":      {Trigger{Metric: HitRatio, Minutes: 5}, Pool{}, 1},
		"none missed where nothing was launched":  {Trigger{Metric: MissRatio, Minutes: 5}, Pool{}, 0},
		"those that were refused were no misses":  {Trigger{Metric: MissRatio, Minutes: 5}, Pool{Minutes: []journal.Minute{minute(0, 0, 0, 9)}}, 0},
		"all missed where the pool is never used": {Trigger{Metric: HitRatio, Minutes: 5}, Pool{Minutes: []journal.Minute{minute(0, 0, 9, 0)}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.trigger.Value(tc.pool); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestActive(t *testing.T) {
	for value, want := range map[float64]bool{0: false, 2: false, 2.5: true} {
		if got := (Trigger{Activation: 2}).Active(value); got != want {
			t.Errorf("active at %v: %v, want %v", value, got, want)
		}
	}
}

func TestWhole(t *testing.T) {
	for n, want := range map[float64]int64{0: 0, 0.05: 1, 3: 3, 1e300: 1<<63 - 1} {
		if got := whole(n); got != want {
			t.Errorf("%v is %d, want %d", n, got, want)
		}
	}
}
