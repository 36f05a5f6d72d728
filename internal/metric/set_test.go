// SPDX-License-Identifier: Apache-2.0

package metric

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
)

var (
	noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	game = types.NamespacedName{Namespace: "default", Name: "game"}
)

// newSet is a set of its own, registered where what isn't as it was described is an error.
func newSet(t testing.TB) (*Set, *prometheus.Registry, *clocktesting.FakePassiveClock) {
	t.Helper()
	clock, registry := clocktesting.NewFakePassiveClock(noon), prometheus.NewPedanticRegistry()
	s, err := New(registry, clock)
	if err != nil {
		t.Fatal(err)
	}
	return s, registry, clock
}

// newPlainSet is one in a registry such as the operator's, which checks less.
func newPlainSet(t testing.TB) (*Set, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	s, err := New(registry, clocktesting.NewFakePassiveClock(noon))
	if err != nil {
		t.Fatal(err)
	}
	return s, registry
}

// fill gives each metric something, of so many pools.
func fill(s *Set, pools int) {
	for i := range pools {
		name := types.NamespacedName{Namespace: fmt.Sprintf("team-%d", i%10), Name: fmt.Sprintf("pool-%d", i)}
		s.SetPool(name, Pool{Idle: i, Busy: 2, Push: true, UnitSize: 1, PricePerPodHour: 0.1, Waiting: func() int { return i }})
		for _, l := range [][]string{
			{"warm", ""}, {"waited", ""}, {"cold", "NoneIdle"}, {"cold", "Gang"}, {"cold", "Differs"}, {"cold", "NotPush"}, {"rejected", ""},
		} {
			s.Launched(name, l[0], l[1])
		}
		for n := range 100 {
			s.Took(name, time.Duration(n)*time.Millisecond, "")
			s.Warmed(name, time.Duration(n)*100*time.Millisecond)
		}
		s.ClaimLost(name)
	}
	for _, phase := range []string{"queue", "claim", "deliver", "start"} {
		s.Phase(phase, time.Millisecond, "")
	}
	for _, mode := range []string{"http", "exec", "redis"} {
		s.Probed(mode, time.Millisecond, true)
	}
	s.Streams(3)
	for _, resource := range []string{"pods", "jobs", "nodes", "hotstandbyjobs", "hotstandbyjobs/status"} {
		for _, verb := range []string{"get", "list", "watch", "create", "patch", "delete"} {
			s.requests.WithLabelValues(verb, resource, "200").Inc()
		}
	}
}

func gather(t testing.TB, r prometheus.Gatherer) map[string]*dto.MetricFamily {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*dto.MetricFamily{}
	for _, f := range families {
		found[f.GetName()] = f
	}
	return found
}

func TestAllMetricsAreAsTheTableSays(t *testing.T) {
	s, registry, _ := newSet(t)
	fill(s, 2)
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
	got := gather(t, registry)
	for _, f := range Families() {
		family := got[f.Name]
		if family == nil {
			t.Errorf("%s isn't there", f.Name)
			continue
		}
		delete(got, f.Name)
		if kind := Kind(strings.ToLower(family.GetType().String())); kind != f.Kind {
			t.Errorf("%s is a %s, and the table says %s", f.Name, kind, f.Kind)
		}
		var labels []string
		for _, l := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		if diff := cmp.Diff(slices.Sorted(slices.Values(f.Labels)), labels); diff != "" {
			t.Errorf("labels of %s (-table +metric):\n%s", f.Name, diff)
		}
	}
	if len(got) > 0 {
		t.Errorf("not in the table: %v", slices.Sorted(maps.Keys(got)))
	}
}

func TestAPoolThatIsGoneLeavesNothing(t *testing.T) {
	s, registry, _ := newSet(t)
	fill(s, 2)
	s.Launched(types.NamespacedName{Namespace: "team-0"}, "cold", "NoPool")
	s.Forget(types.NamespacedName{Namespace: "team-0", Name: "pool-0"})
	left := 0
	for name, f := range gather(t, registry) {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "pool" && l.GetValue() == "pool-0" {
					t.Errorf("%s is left: %v", name, m)
				}
				if l.GetName() == "pool" && l.GetValue() == "pool-1" {
					left++
				}
			}
		}
	}
	if left < 20 {
		t.Errorf("the other pool has %d series", left)
	}
}

func TestIdleTimeIsAddedUp(t *testing.T) {
	s, registry, clock := newSet(t)
	s.SetPool(game, Pool{Idle: 2, UnitSize: 3, PricePerPodHour: 0.5})
	clock.SetTime(noon.Add(30 * time.Minute))
	s.SetPool(game, Pool{Idle: 4, UnitSize: 3, PricePerPodHour: 0.5})
	clock.SetTime(noon.Add(time.Hour))
	want := `
		# HELP hotstandbyjob_idle_cost_total ` + idleCost.Help + `
		# TYPE hotstandbyjob_idle_cost_total counter
		hotstandbyjob_idle_cost_total{namespace="default",pool="game"} 4.5
		# HELP hotstandbyjob_idle_unit_seconds_total ` + idleSeconds.Help + `
		# TYPE hotstandbyjob_idle_unit_seconds_total counter
		hotstandbyjob_idle_unit_seconds_total{namespace="default",pool="game"} 10800
	`
	for range 2 { // looking changes nothing
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want), idleCost.Name, idleSeconds.Name); err != nil {
			t.Error(err)
		}
	}
	clock.SetTime(noon) // set back: nothing is taken away
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), idleCost.Name, idleSeconds.Name); err != nil {
		t.Error(err)
	}
	s.SetPool(game, Pool{Idle: 4, UnitSize: 3})
	if _, ok := gather(t, registry)[idleCost.Name]; ok {
		t.Error("without a price there is a cost")
	}
}

func TestWhatPoolsAreLikeIsReadWhenItIsAskedFor(t *testing.T) {
	s, registry, _ := newSet(t)
	waiting := 0
	s.SetPool(game, Pool{
		Idle: 1, Busy: 2, Starting: 3, Unknown: 4, Retiring: 5, Failed: 6, IdleTarget: 7, Desired: 8, Missing: 9, Failures: 10,
		Waiting: func() int { return waiting },
	})
	waiting = 11
	want := `
		# HELP hotstandbyjob_pool_units ` + poolUnits.Help + `
		# TYPE hotstandbyjob_pool_units gauge
		hotstandbyjob_pool_units{namespace="default",pool="game",state="busy"} 2
		hotstandbyjob_pool_units{namespace="default",pool="game",state="failed"} 6
		hotstandbyjob_pool_units{namespace="default",pool="game",state="idle"} 1
		hotstandbyjob_pool_units{namespace="default",pool="game",state="retiring"} 5
		hotstandbyjob_pool_units{namespace="default",pool="game",state="starting"} 3
		hotstandbyjob_pool_units{namespace="default",pool="game",state="unknown"} 4
	`
	for _, g := range []struct {
		f     Family
		value int
	}{{poolIdleTarget, 7}, {poolDesired, 8}, {poolMissing, 9}, {poolFailures, 10}, {poolWaiting, 11}} {
		want += fmt.Sprintf("# HELP %s %s\n# TYPE %s gauge\n%s{namespace=\"default\",pool=\"game\"} %d\n", g.f.Name, g.f.Help, g.f.Name, g.f.Name, g.value)
	}
	err := testutil.GatherAndCompare(registry, strings.NewReader(want), poolUnits.Name, poolIdleTarget.Name, poolDesired.Name, poolMissing.Name, poolFailures.Name, poolWaiting.Name)
	if err != nil {
		t.Error(err)
	}
}

func TestCountersOfAPoolBeginWithZero(t *testing.T) {
	s, registry, _ := newSet(t)
	s.SetPool(game, Pool{})
	if n := len(gather(t, registry)[launchesTotal.Name].GetMetric()); n != 0 {
		t.Errorf("a pool that launches nothing has %d counters of launches", n)
	}
	other := types.NamespacedName{Namespace: "default", Name: "push"}
	s.SetPool(other, Pool{Push: true})
	s.Launched(other, "warm", "")
	s.SetPool(other, Pool{Push: true})
	if got := testutil.ToFloat64(s.launches.WithLabelValues("default", "push", "warm", "")); got != 1 {
		t.Errorf("%v launches, want 1", got)
	}
	if n := len(gather(t, registry)[launchesTotal.Name].GetMetric()); n != 4 {
		t.Errorf("a pool has %d counters of launches, want 4", n)
	}
}

func TestASecondSetIsTheFirst(t *testing.T) {
	s, registry, clock := newSet(t)
	again, err := New(registry, clock)
	if err != nil || again != s {
		t.Errorf("it is another one (%v)", err)
	}
	taken := prometheus.NewRegistry()
	taken.MustRegister(launchesTotal.counter())
	if _, err := New(taken, clock); err == nil {
		t.Error("somebody else's metric of the same name is no error")
	}
}

func TestADurationCanNameItsTrace(t *testing.T) {
	s, registry, _ := newSet(t)
	s.Took(game, 3*time.Millisecond, "0af7651916cd43dd8448eb211c80319c")
	s.Took(game, -time.Second, "") // a clock that was set back
	h := gather(t, registry)[launchDuration.Name].GetMetric()[0].GetHistogram()
	found := ""
	for _, b := range h.GetBucket() {
		for _, l := range b.GetExemplar().GetLabel() {
			found += l.GetName() + "=" + l.GetValue()
		}
	}
	if found != "trace_id=0af7651916cd43dd8448eb211c80319c" || h.GetSampleCount() != 2 || h.GetSampleSum() != 0.003 {
		t.Errorf("exemplar %q, %d samples, sum %v", found, h.GetSampleCount(), h.GetSampleSum())
	}
}

func TestBuckets(t *testing.T) {
	for _, b := range []struct {
		buckets     []float64
		first, last float64
	}{{launchBuckets(), 0.0005, 131.072}, {leadBuckets(), 0.25, 1024}, {probeBuckets(), 0.0005, 8.192}} {
		if first, last := b.buckets[0], b.buckets[len(b.buckets)-1]; first != b.first || last != b.last {
			t.Errorf("buckets from %v to %v, want %v to %v", first, last, b.first, b.last)
		}
	}
}

// What a scrape of one hundred pools costs; nothing is asserted about times.
func TestScrapeOfAHundredPools(t *testing.T) {
	s, registry := newPlainSet(t)
	fill(s, 100)
	handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	var took []time.Duration
	var answer *httptest.ResponseRecorder
	for range 11 {
		began := time.Now()
		answer = httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
		took = append(took, time.Since(began).Round(10*time.Microsecond))
	}
	slices.Sort(took)
	series := 0
	for line := range strings.Lines(answer.Body.String()) {
		if !strings.HasPrefix(line, "#") {
			series++
		}
	}
	t.Logf("a scrape of 100 pools: %s at best, %s median, %d series, %d bytes", took[0], took[len(took)/2], series, answer.Body.Len())
	if answer.Code != http.StatusOK || series > 7000 {
		t.Errorf("status %d, %d series: their number must stay bounded", answer.Code, series)
	}
}

func BenchmarkScrape(b *testing.B) {
	s, registry := newPlainSet(b)
	fill(s, 100)
	handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	for b.Loop() {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/metrics", http.NoBody))
		b.SetBytes(int64(answer.Body.Len()))
	}
}
