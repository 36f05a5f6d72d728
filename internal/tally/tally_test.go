// SPDX-License-Identifier: Apache-2.0

package tally

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/paia-tech/hotstandbyjob/internal/journal"
	"github.com/paia-tech/hotstandbyjob/internal/launch"
	"github.com/paia-tech/hotstandbyjob/internal/metric"
	"github.com/paia-tech/hotstandbyjob/internal/standby"
	"github.com/paia-tech/hotstandbyjob/internal/trace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	game = types.NamespacedName{Namespace: "default", Name: "game"}
)

// after is a time so many milliseconds after noon.
func after(ms int) time.Time { return noon.Add(time.Duration(ms) * time.Millisecond) }

// book is a tally with what it writes to.
type book struct {
	*Tally
	t        *testing.T
	clock    *clocktesting.FakeClock
	registry *prometheus.Registry
	journal  *journal.Journal

	mu   sync.Mutex
	gone map[types.NamespacedName]bool
}

func newBook(t *testing.T) *book {
	t.Helper()
	b := &book{t: t, clock: clocktesting.NewFakeClock(noon), registry: prometheus.NewPedanticRegistry(), gone: map[types.NamespacedName]bool{}}
	b.journal = journal.New(b.clock)
	set, err := metric.New(b.registry, b.clock)
	if err != nil {
		t.Fatal(err)
	}
	b.Tally = New(Deps{Set: set, Journal: b.journal, Clock: b.clock, Exists: func(name types.NamespacedName) bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return !b.gone[name]
	}})
	return b
}

// has compares metrics without their comments, and only those that are named.
func (b *book) has(want string, names ...string) {
	b.t.Helper()
	text := ""
	for _, f := range metric.Families() {
		for _, name := range names {
			if f.Name != name {
				continue
			}
			lines := ""
			for line := range strings.Lines(want) {
				if line = strings.TrimSpace(line); strings.HasPrefix(line, name) {
					lines += line + "\n"
				}
			}
			if lines != "" {
				text += "# HELP " + f.Name + " " + f.Help + "\n# TYPE " + f.Name + " " + string(f.Kind) + "\n" + lines
			}
		}
	}
	if err := testutil.GatherAndCompare(b.registry, strings.NewReader(text), names...); err != nil {
		b.t.Error(err)
	}
}

// sums are the sums of a histogram by label.
func (b *book) sums(name, label string) map[string]float64 {
	b.t.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		b.t.Fatal(err)
	}
	sums := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == name && l.GetName() == label {
					sums[l.GetValue()] = m.GetHistogram().GetSampleSum()
				}
			}
		}
	}
	return sums
}

func (b *book) launches() []journal.Launch {
	return b.journal.Launches(100, func(journal.Launch) bool { return true })
}

func TestAWarmLaunchIsWrittenDownWithItsPhases(t *testing.T) {
	for name, tc := range map[string]struct {
		timing standby.Timing
		want   journal.Launch
		start  string
	}{
		"by its stream": {
			standby.Timing{Seen: noon, Found: after(1), Claimed: after(5), Sent: after(7), Begun: after(15)},
			journal.Launch{Start: journal.Warm, Queue: time.Millisecond, Claim: 4 * time.Millisecond, Deliver: 2 * time.Millisecond, Begin: 8 * time.Millisecond},
			"warm",
		},
		"by its payload's file": {
			standby.Timing{Seen: noon, Found: after(1), Claimed: after(5), Begun: after(15)},
			journal.Launch{Start: journal.Warm, Queue: time.Millisecond, Claim: 4 * time.Millisecond, Deliver: 10 * time.Millisecond},
			"warm",
		},
		"after it waited": {
			standby.Timing{Seen: noon, Found: after(11), Waited: true, Claimed: after(12), Sent: after(12), Begun: after(15)},
			journal.Launch{Start: journal.Waited, Queue: 11 * time.Millisecond, Claim: time.Millisecond, Begin: 3 * time.Millisecond},
			"waited",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBook(t)
			b.Claimed(launch.Launch{Pool: game, Job: "j", Pod: "p", Waited: tc.timing.Waited})
			b.Started(standby.Pod{PodID: standby.PodID{Namespace: "default", Name: "p", UID: "u"}, Pool: game, Job: "j", Timing: tc.timing})
			tc.want.Pool, tc.want.Job, tc.want.Pod, tc.want.Seen, tc.want.Started = game, "j", "p", noon, after(15)
			if diff := cmp.Diff([]journal.Launch{tc.want}, b.launches()); diff != "" {
				t.Errorf("journal (-want +got):\n%s", diff)
			}
			b.has(`hotstandbyjob_launches_total{namespace="default",pool="game",reason="",start="`+tc.start+`"} 1`, "hotstandbyjob_launches_total")
			if got := b.sums("hotstandbyjob_launch_duration_seconds", "pool"); got["game"] != 0.015 {
				t.Errorf("in all %v seconds, want 0.015", got)
			}
			want := map[string]float64{
				"queue": tc.want.Queue.Seconds(), "claim": tc.want.Claim.Seconds(), "deliver": tc.want.Deliver.Seconds(), "start": tc.want.Begin.Seconds(),
			}
			if diff := cmp.Diff(want, b.sums("hotstandbyjob_launch_phase_duration_seconds", "phase")); diff != "" {
				t.Errorf("phases (-want +got):\n%s", diff)
			}
		})
	}
}

func TestALaunchIsTracedAndItsDurationsNameTheTrace(t *testing.T) {
	const users = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	b := newBook(t)
	exporter := tracetest.NewInMemoryExporter()
	b.deps.Traces = trace.To(b.clock, sdktrace.WithSyncer(exporter))
	b.Started(standby.Pod{Pool: game, Job: "j", Timing: standby.Timing{
		Seen: noon, Found: after(1), Claimed: after(5), Sent: after(7), Begun: after(15), Trace: users,
	}})
	b.Began(launch.Launch{Pool: game, Job: "k", Seen: noon, Found: noon, Begun: after(9), Trace: users})
	b.Rejected(launch.Launch{Pool: game, Job: "l", Seen: noon, Trace: users})
	if n := len(exporter.GetSpans()); n != 5+3+2 {
		t.Errorf("%d spans, want 10", n)
	}
	families, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, bucket := range m.GetHistogram().GetBucket() {
				for _, l := range bucket.GetExemplar().GetLabel() {
					named[f.GetName()+" "+l.GetValue()] = true
				}
			}
		}
	}
	const id = " 0af7651916cd43dd8448eb211c80319c"
	if diff := cmp.Diff(map[string]bool{"hotstandbyjob_launch_duration_seconds" + id: true, "hotstandbyjob_launch_phase_duration_seconds" + id: true}, named); diff != "" {
		t.Errorf("exemplars (-want +got):\n%s", diff)
	}
}

func TestALaunchOfAnEarlierProcessIsNotMeasured(t *testing.T) {
	b := newBook(t)
	b.Started(standby.Pod{Pool: game, Job: "j", Timing: standby.Timing{}})
	if got := b.launches(); len(got) > 0 {
		t.Errorf("the journal has %v", got)
	}
}

func TestColdStartsAndRejections(t *testing.T) {
	b := newBook(t)
	cold := launch.Launch{Pool: game, Job: "j", Pod: "p", Seen: noon, Found: after(3), Cold: launch.ColdDiffers, Why: "image differs from the pool's"}
	b.Created(cold)
	cold.Begun = after(1003)
	b.Began(cold)
	b.Created(launch.Launch{Pool: types.NamespacedName{Namespace: "default", Name: "no such"}, Cold: launch.ColdNoPool})
	b.clock.SetTime(after(8))
	b.Rejected(launch.Launch{Pool: game, Job: "k", Seen: noon})
	want := []journal.Launch{
		{Pool: game, Job: "k", Start: journal.Rejected, Seen: noon, Started: after(8), Queue: 8 * time.Millisecond},
		{
			Pool: game, Job: "j", Pod: "p", Start: journal.Cold, Reason: cold.Why, Seen: noon, Started: after(1003),
			Queue: 3 * time.Millisecond, Begin: time.Second,
		},
	}
	if diff := cmp.Diff(want, b.launches()); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
	b.has(`
		hotstandbyjob_launches_total{namespace="default",pool="",reason="NoPool",start="cold"} 1
		hotstandbyjob_launches_total{namespace="default",pool="game",reason="",start="rejected"} 1
		hotstandbyjob_launches_total{namespace="default",pool="game",reason="Differs",start="cold"} 1
	`, "hotstandbyjob_launches_total")
	if diff := cmp.Diff(map[string]float64{"queue": 0.003, "start": 1}, b.sums("hotstandbyjob_launch_phase_duration_seconds", "phase")); diff != "" {
		t.Errorf("phases (-want +got):\n%s", diff)
	}
	if got := b.sums("hotstandbyjob_launch_duration_seconds", "pool"); len(got) > 0 {
		t.Errorf("cold starts are among the warm ones: %v", got)
	}
}

func TestSamplesAreTakenOfThePoolsThatAreThere(t *testing.T) {
	b := newBook(t)
	b.Waiting(func(types.NamespacedName) int { return 4 })
	b.Decided(game, metric.Pool{Idle: 1, Busy: 2, Starting: 3})
	other, none := types.NamespacedName{Namespace: "default", Name: "other"}, types.NamespacedName{Namespace: "default", Name: "none"}
	b.Decided(other, metric.Pool{Idle: 9})
	b.Created(launch.Launch{Pool: none, Cold: launch.ColdNoPool})
	b.Began(launch.Launch{Pool: none, Cold: launch.ColdNoPool, Seen: noon, Found: noon, Begun: noon})
	b.mu.Lock()
	b.gone[other], b.gone[none] = true, true
	b.mu.Unlock()

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Start(ctx) }()
	for !b.clock.HasWaiters() {
		time.Sleep(time.Millisecond)
	}
	b.clock.Step(journal.Period)
	for len(b.journal.Pool(game).Samples) == 0 || b.knows(other) || b.knows(none) {
		time.Sleep(time.Millisecond)
	}
	if diff := cmp.Diff([]journal.Sample{{Idle: 1, Busy: 2, Starting: 3, Waiting: 4}}, b.journal.Pool(game).Samples); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
	if got := b.journal.Pool(none); len(got.Minutes) > 0 {
		t.Errorf("of what is no pool it knows %v", got)
	}
	b.has(`
		hotstandbyjob_pool_waiting_pods{namespace="default",pool="game"} 4
		hotstandbyjob_idle_unit_seconds_total{namespace="default",pool="game"} 10
	`, "hotstandbyjob_pool_waiting_pods", "hotstandbyjob_idle_unit_seconds_total")

	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	b.has("", "hotstandbyjob_pool_waiting_pods")
}

// knows tells whether anything was written about a pool.
func (b *book) knows(name types.NamespacedName) bool {
	b.Tally.mu.Lock()
	defer b.Tally.mu.Unlock()
	_, ok := b.pools[name]
	return ok
}

func TestAPoolThatIsGoneIsForgotten(t *testing.T) {
	b := newBook(t)
	b.Decided(game, metric.Pool{Idle: 1, Push: true})
	b.Warmed(game, time.Second)
	b.ClaimLost(game)
	b.Began(launch.Launch{Pool: game, Seen: noon, Found: noon, Begun: noon})
	b.Gone(game)
	b.has("", "hotstandbyjob_pool_units", "hotstandbyjob_claims_lost_total", "hotstandbyjob_standby_lead_time_seconds", "hotstandbyjob_launches_total")
	if got := b.journal.Pool(game); len(got.Minutes) > 0 || b.knows(game) {
		t.Errorf("it still knows %v", got)
	}
}
