// SPDX-License-Identifier: Apache-2.0

package script

import (
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/demo/internal/track"
)

func readPools(t *testing.T) *Pools {
	t.Helper()
	pools, err := ReadPools("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return pools
}

func TestManifests(t *testing.T) {
	pools := readPools(t)
	for _, h := range []*v1alpha1.HotStandbyJob{pools.Match, pools.Flip} {
		if h.Namespace != Namespace || h.Spec.BusyProbe.Mode != v1alpha1.BusyByAnnotation {
			t.Errorf("%s: namespace %s, mode %s", h.Name, h.Namespace, h.Spec.BusyProbe.Mode)
		}
	}
	if pools.Seed.Name != "game-worker3" || pools.Seed.Spec.IdleTarget != 20 || pools.Flip.Spec.IdleTarget != 20 {
		t.Errorf("seed is %s with %d, flip has %d", pools.Seed.Name, pools.Seed.Spec.IdleTarget, pools.Flip.Spec.IdleTarget)
	}
}

func TestPercentile(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(100-i))
	}
	for percent, want := range map[int]time.Duration{50: 50, 99: 99, 100: 100, 0: 1} {
		if got := percentile(hundred, percent); got != want {
			t.Errorf("p%d of 1 to 100 is %d", percent, got)
		}
	}
	if got := percentile([]time.Duration{3, 1}, 99); got != 3 {
		t.Errorf("p99 of two is %d, want the greater", got)
	}
	if got := percentile(nil, 99); got != 0 {
		t.Errorf("p99 of none is %d", got)
	}
}

func TestFaults(t *testing.T) {
	pools := readPools(t)
	quickly := []time.Duration{5 * time.Millisecond}
	slowly := slices.Repeat([]time.Duration{200 * time.Millisecond}, 2)
	oneLate := append(slices.Repeat(quickly, 10), 200*time.Millisecond)
	twoOf200 := append(slices.Repeat(quickly, 198), slowly...)
	for title, tc := range map[string]struct {
		match track.Pool
		posts []time.Duration
		want  string // part of the only fault; "": none
	}{
		"all is well":                  {track.Pool{Waits: quickly}, quickly, ""},
		"too many Jobs":                {track.Pool{Surplus: 2}, quickly, "2 Jobs more than needed"},
		"a busy pod was deleted":       {track.Pool{BusyEnded: []string{"pod-x"}}, quickly, "pod-x"},
		"replaced late":                {track.Pool{Waits: slowly}, quickly, "2 of 2 busy pods were replaced after more than the promised 100 ms, the last after 200 ms"},
		"one of eleven was late":       {track.Pool{Waits: oneLate}, quickly, ""},
		"two of 200 were late":         {track.Pool{Waits: twoOf200}, quickly, ""},
		"three of 201 were late":       {track.Pool{Waits: append(twoOf200, 200*time.Millisecond)}, quickly, "3 of 201"},
		"replaced late, slow machine":  {track.Pool{Waits: slowly}, slowly, ""},
		"retired before the delay":     {track.Pool{Delay: time.Second, Lowered: &track.Lowered{Retired: 1}}, quickly, "retired after 0.0 s"},
		"nothing was there to retire":  {track.Pool{Delay: time.Second, Lowered: &track.Lowered{}}, quickly, ""},
		"a busy pod did not get ready": {track.Pool{Lowered: &track.Lowered{Busy: 3, BusyLost: 1}}, quickly, "1 did not finish"},
	} {
		t.Run(title, func(t *testing.T) {
			r := Result{Pools: map[types.NamespacedName]track.Pool{}, Posts: tc.posts}
			for _, h := range pools.All() {
				r.Pools[key(h)] = track.Pool{Name: key(h)}
			}
			tc.match.Name = key(pools.Match)
			r.Pools[key(pools.Match)] = tc.match
			faults := r.Faults(pools)
			if tc.want == "" {
				if len(faults) > 0 {
					t.Errorf("faults are %q, want none", faults)
				}
				return
			}
			if len(faults) != 1 || !strings.Contains(faults[0], tc.want) {
				t.Errorf("faults are %q, want one with %q", faults, tc.want)
			}
		})
	}
}

func TestSummaryFitsAnOrdinaryScreen(t *testing.T) {
	pools := readPools(t)
	waits := make([]time.Duration, 100)
	for i := range waits {
		waits[i] = time.Duration(i) * time.Second / 10
	}
	r := Result{Pools: map[types.NamespacedName]track.Pool{}, Posts: waits, Simulated: true}
	for _, h := range pools.All() {
		r.Pools[key(h)] = track.Pool{
			Name: key(h), Waits: waits, FilledAfter: 100 * time.Second, MostJobs: 100, Replaced: 1000, FewestIdle: 19,
			Delay: 30 * time.Second, Lowered: &track.Lowered{From: 12, To: 3, Retired: 12, First: 99 * time.Second, Last: 99 * time.Second},
		}
	}
	for _, l := range r.Lines(pools) {
		if l.Width() > 79 {
			t.Errorf("%d columns: %q", l.Width(), l.Plain())
		}
	}
}
