// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/journal"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// minuteOf is a minute in which so many launches started warm or cold, the warm ones in a bucket.
func minuteOf(begin time.Time, warm, cold, bucket int) journal.Minute {
	m := journal.Minute{
		Begin: begin, Starts: map[journal.Start]int{journal.Warm: warm, journal.Cold: cold}, Reasons: map[string]int{"none idle": cold},
		Latencies: make([]int, len(journal.Bounds)+1),
	}
	m.Latencies[bucket] = warm
	return m
}

func TestPoolOf(t *testing.T) {
	h := &v1alpha1.HotStandbyJob{
		ObjectMeta: metav1.ObjectMeta{Namespace: "games", Name: "game"},
		Spec:       v1alpha1.HotStandbyJobSpec{Assignment: v1alpha1.AssignmentPush, IdleTarget: 3, MaxReplicas: new(int32(9)), BusyProbe: v1alpha1.BusyProbe{Mode: v1alpha1.BusyByHTTP}},
		Status: v1alpha1.HotStandbyJobStatus{
			IdleCount: 1, BusyCount: 2, StartingCount: 3, UnknownCount: 4, DesiredActive: 5,
			Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "TooFew", Message: "one is idle"}},
		},
	}
	got := poolOf(h, &journal.History{IdleSeconds: 8, Minutes: []journal.Minute{minuteOf(noon, 6, 2, 1)}}, 7, noon.Add(30*time.Second))
	want := Pool{
		Namespace: "games", Name: "game", Assignment: "Push", IdleTarget: 3, Desired: 5, MaxReplicas: new(int32(9)),
		Idle: 1, Busy: 2, Starting: 3, Unknown: 4, Waiting: 7, Ready: "False", Reason: "TooFew", Message: "one is idle",
		LaunchesPerSecond: 8.0 / 60, HitRatio: new(0.75), P50: new(0.00075), P99: new(0.000995), IdleSeconds: 8,
	}
	near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })
	if diff := cmp.Diff(want, got, near); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	h.Spec.Assignment, h.Spec.Layout, h.Status.Conditions = v1alpha1.AssignmentPull, v1alpha1.LayoutSharedJob, nil
	got = poolOf(h, &journal.History{}, 0, noon)
	if got.Layout != v1alpha1.LayoutSharedJob || got.Mode != v1alpha1.BusyByHTTP || got.Ready != "Unknown" || got.HitRatio != nil || got.P50 != nil {
		t.Errorf("a pool without launches or conditions is %+v", got)
	}
}

func TestLately(t *testing.T) {
	for name, tc := range map[string]struct {
		ago  time.Duration // of the minute's begin
		want float64       // launches of 60 that count
	}{
		"a minute that has just begun":        {0, 60},
		"the current minute":                  {59 * time.Second, 60},
		"a minute that has just ended":        {time.Minute, 60},
		"a minute that ended half of one ago": {90 * time.Second, 30},
		"a minute that ended one ago":         {2 * time.Minute, 0},
		"an older one":                        {time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := lately([]journal.Minute{minuteOf(noon, 40, 20, 0)}, noon.Add(tc.ago)); math.Abs(got-tc.want/60) > 1e-9 {
				t.Errorf("%v launches a second, want %v", got, tc.want/60)
			}
		})
	}
}

func TestQuantile(t *testing.T) {
	empty := func(change func(n []int)) []int {
		n := make([]int, len(journal.Bounds)+1)
		change(n)
		return n
	}
	last := journal.Bounds[len(journal.Bounds)-1].Seconds()
	for name, tc := range map[string]struct {
		latencies []int
		q         float64
		want      float64
	}{
		"half of the first bucket":      {empty(func(n []int) { n[0] = 10 }), 0.5, 0.00025},
		"between two":                   {empty(func(n []int) { n[0], n[2] = 5, 5 }), 0.5, 0.0005},
		"in the upper one":              {empty(func(n []int) { n[0], n[2] = 5, 5 }), 0.75, 0.0015},
		"what took longest has no end":  {empty(func(n []int) { n[len(n)-1] = 3 }), 0.99, last},
		"most are quick, one took long": {empty(func(n []int) { n[0], n[len(n)-1] = 999, 1 }), 0.99, 0.0005 * 990 / 999},
	} {
		t.Run(name, func(t *testing.T) {
			if got := quantile(tc.latencies, tc.q); got == nil || math.Abs(*got-tc.want) > 1e-9 {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
	if got := quantile(empty(func([]int) {}), 0.5); got != nil {
		t.Errorf("of nothing it is %v", *got)
	}
}
