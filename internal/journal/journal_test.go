// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
)

var (
	noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	game = types.NamespacedName{Namespace: "default", Name: "game"}
)

func started(start Start, took time.Duration, reason string) Launch {
	return Launch{Pool: game, Start: start, Reason: reason, Seen: noon, Started: noon.Add(took)}
}

func TestLaunchesAreTheNewestFirst(t *testing.T) {
	j := New(clocktesting.NewFakePassiveClock(noon))
	for _, n := range []int{0, 3, maxLaunches, 2*maxLaunches + 7} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			*j = *New(j.clock)
			for i := range n {
				j.Record(Launch{Pool: game, Job: fmt.Sprint(i), Start: Warm})
			}
			var want []string
			for i := n - 1; i >= max(0, n-maxLaunches); i-- {
				want = append(want, fmt.Sprint(i))
			}
			var got []string
			for _, l := range j.Launches(2*maxLaunches, func(Launch) bool { return true }) {
				got = append(got, l.Job)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if got := j.Launches(1, func(l Launch) bool { return l.Job == "1500" }); len(got) != 1 || got[0].Job != "1500" {
		t.Errorf("launch 1500 is %v", got)
	}
}

func TestMinutesCountLaunches(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(noon.Add(30 * time.Second))
	j := New(clock)
	j.Record(started(Warm, 500*time.Microsecond, ""))
	j.Record(started(Waited, 501*time.Microsecond, ""))
	j.Record(started(Warm, time.Hour, ""))
	j.Record(started(Cold, time.Second, "no pod was idle"))
	clock.SetTime(noon.Add(2 * time.Minute))
	j.Record(Launch{Pool: game, Start: Rejected})

	got := j.Pool(game).Minutes
	if len(got) != 3 {
		t.Fatalf("%d minutes, want 3", len(got))
	}
	first := newMinute(noon)
	first.Starts = map[Start]int{Warm: 2, Waited: 1, Cold: 1}
	first.Reasons = map[string]int{"no pod was idle": 1}
	first.Latencies[0], first.Latencies[1], first.Latencies[len(Bounds)] = 1, 1, 1
	last := newMinute(noon.Add(2 * time.Minute))
	last.Starts[Rejected] = 1
	if diff := cmp.Diff([]Minute{first, newMinute(noon.Add(time.Minute)), last}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	clock.SetTime(noon.Add(minutes * time.Minute))
	if got := j.Pool(game).Minutes; len(got) != minutes || !got[0].Begin.Equal(noon.Add(time.Minute)) {
		t.Errorf("an hour later there are %d minutes from %s", len(got), got[0].Begin)
	}
	clock.SetTime(noon.Add(1000 * time.Hour))
	if got := j.Pool(game).Minutes; len(got) != 1 {
		t.Errorf("much later there are %d minutes, want one", len(got))
	}
}

func TestSamplesAreOfAnHour(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(noon)
	j := New(clock)
	for i := range samples + 5 {
		clock.SetTime(noon.Add(time.Duration(i) * Period))
		j.Take(game, Sample{Idle: 2, Busy: int32(i)})
	}
	h := j.Pool(game)
	if n := len(h.Samples); n != samples || h.Samples[0].Busy != 5 || h.Samples[n-1].Busy != samples+4 {
		t.Errorf("%d samples, from %v to %v", n, h.Samples[0], h.Samples[n-1])
	}
	if want := 2 * Period.Seconds() * (samples + 4); h.IdleSeconds != want || !h.Until.Equal(clock.Now()) {
		t.Errorf("%v idle seconds until %s, want %v", h.IdleSeconds, h.Until, want)
	}
	j.Forget(game)
	if h := j.Pool(game); len(h.Samples) != 0 || len(h.Minutes) != 0 {
		t.Errorf("of a pool that is gone there is %v", h)
	}
}

func TestWhatIsReadStaysAsItWas(t *testing.T) {
	j := New(clocktesting.NewFakePassiveClock(noon))
	j.Record(started(Cold, time.Second, "a"))
	before := j.Pool(game)
	j.Record(started(Cold, time.Second, "a"))
	if before.Minutes[0].Starts[Cold] != 1 || before.Minutes[0].Reasons["a"] != 1 {
		t.Errorf("what was read before has changed: %v", before.Minutes)
	}
	if !slices.IsSorted(Bounds) {
		t.Error("the bounds aren't in order")
	}
}
