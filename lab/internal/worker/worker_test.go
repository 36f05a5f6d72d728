// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	testingclock "k8s.io/utils/clock/testing"
)

// notes is a reporter that remembers what it was told, and fails as often as it is asked to.
type notes struct {
	mu        sync.Mutex
	states    []State
	failures  int
	withdrawn bool
	heard     chan struct{}
}

func newNotes() *notes { return &notes{heard: make(chan struct{}, 100)} }

func (n *notes) Report(_ context.Context, s State) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer func() { n.heard <- struct{}{} }()
	n.states = append(n.states, s)
	if n.failures > 0 {
		n.failures--
		return errors.New("nobody listens")
	}
	return nil
}

func (n *notes) Withdraw(context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.withdrawn = true
	return nil
}

// story is a worker under test, with its own clock.
type story struct {
	*Worker
	clock *testingclock.FakeClock
	notes *notes
	code  chan int
}

func tell(t *testing.T, ctx context.Context, o Options, n *notes) story {
	t.Helper()
	clock := testingclock.NewFakeClock(time.Unix(1_000_000, 0))
	s := story{Worker: New(o, n, clock, slog.New(slog.DiscardHandler)), clock: clock, notes: n, code: make(chan int, 1)}
	go func() { s.code <- s.Run(ctx) }()
	s.hear(t)
	return s
}

// hear waits for one report.
func (s story) hear(t *testing.T) {
	t.Helper()
	select {
	case <-s.notes.heard:
	case <-time.After(10 * time.Second):
		t.Fatal("the worker says nothing")
	}
}

func (s story) end(t *testing.T, want int) {
	t.Helper()
	select {
	case code := <-s.code:
		if code != want {
			t.Errorf("exit code is %d, want %d", code, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the worker does not end")
	}
	if !s.notes.withdrawn {
		t.Error("what was told was not taken back")
	}
}

// step lets time pass once the worker waits for as many times as it should. A report is heard before the worker waits
// again, so that the number tells whether it does.
func (s story) step(t *testing.T, timers int, d time.Duration) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for s.clock.Waiters() != timers {
		select {
		case <-deadline:
			t.Fatalf("the worker waits for %d times, want %d", s.clock.Waiters(), timers)
		case <-tick.C:
		}
	}
	s.clock.Step(d)
}

func (s story) told(t *testing.T, want ...State) {
	t.Helper()
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	if diff := cmp.Diff(want, s.notes.states); diff != "" {
		t.Errorf("told others (-want +got):\n%s", diff)
	}
}

func TestTimeDrivesTheWorker(t *testing.T) {
	s := tell(t, t.Context(), Options{Start: 2 * time.Second, BusyAfter: 5 * time.Second, BusyFor: 7 * time.Second, Exit: 3}, newNotes())
	s.told(t, Starting)
	s.step(t, 1, 1999*time.Millisecond)
	if s.State() != Starting {
		t.Errorf("state is %s before its time, want starting", s.State())
	}
	s.step(t, 1, time.Millisecond)
	s.hear(t)
	s.step(t, 1, 5*time.Second)
	s.hear(t)
	s.told(t, Starting, Idle, Busy)
	s.step(t, 1, 7*time.Second)
	s.end(t, 3)
}

func TestJitterSpreadsTimes(t *testing.T) {
	for random, want := range map[float64]time.Duration{0: 5 * time.Second, 0.5: 10 * time.Second, 0.999: 14990 * time.Millisecond} {
		w := New(Options{Jitter: true}, silent{}, testingclock.NewFakeClock(time.Time{}), slog.New(slog.DiscardHandler))
		w.random = func() float64 { return random }
		if got := w.jittered(10 * time.Second); got != want {
			t.Errorf("10s becomes %s with random number %v, want %s", got, random, want)
		}
	}
}

func TestOthersDriveTheWorker(t *testing.T) {
	s := tell(t, t.Context(), Options{}, newNotes())
	s.step(t, 1, 0)
	s.hear(t)
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	ask := func(method, path string, want int) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s %s: %d, want %d", method, path, response.StatusCode, want)
		}
	}
	ask("GET", "/ready", 200)
	ask("GET", "/busy", 404)
	ask("POST", "/busy", 200)
	s.told(t, Starting, Idle, Busy) // told before the answer
	ask("GET", "/busy", 200)
	ask("POST", "/idle", 200)
	ask("GET", "/busy", 404)
	ask("POST", "/exit?code=256", 400)
	ask("POST", "/exit", 400)
	ask("DELETE", "/busy", 405)
	ask("POST", "/exit?code=42", 200)
	s.end(t, 42)
}

func TestReadyOnlyWhenStarted(t *testing.T) {
	w := New(Options{}, silent{}, testingclock.NewFakeClock(time.Time{}), slog.New(slog.DiscardHandler))
	out := httptest.NewRecorder()
	w.Handler().ServeHTTP(out, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ready", nil))
	if out.Code != http.StatusServiceUnavailable {
		t.Errorf("a starting worker answers %d, want 503", out.Code)
	}
}

func TestTerminationTakesEverythingBack(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := tell(t, ctx, Options{}, newNotes())
	cancel()
	s.end(t, Terminated)
}

func TestFailedReportsAreRepeated(t *testing.T) {
	n := newNotes()
	n.failures = 2
	s := tell(t, t.Context(), Options{Start: time.Hour}, n)
	for range 2 {
		s.step(t, 2, retryTime)
		s.hear(t)
	}
	s.told(t, Starting, Starting, Starting)
	if err := s.Become(t.Context(), Busy); err != nil {
		t.Error(err)
	}
	s.told(t, Starting, Starting, Starting, Busy)
}

func TestHeartbeat(t *testing.T) {
	s := tell(t, t.Context(), Options{Start: time.Hour, BusyBy: ByRedis, Heartbeat: 10 * time.Second}, newNotes())
	for range 3 {
		s.step(t, 2, 10*time.Second)
		s.hear(t)
	}
	s.told(t, slices.Repeat([]State{Starting}, 4)...)
}
