// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestBackoff(t *testing.T) {
	for name, tc := range map[string]struct {
		failures int
		random   float64
		want     time.Duration
	}{
		"the shortest":          {0, 0, 100 * time.Millisecond},
		"half of the first":     {0, 0.5, 250 * time.Millisecond},
		"the second is longer":  {1, 0.5, 450 * time.Millisecond},
		"the longest":           {20, 1, 15 * time.Second},
		"it may be short again": {20, 0, 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Backoff(tc.failures, tc.random); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

func TestBackoffStaysWithinItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		failures, random := rapid.IntRange(0, 1<<40).Draw(t, "failures"), rapid.Float64Range(0, 1).Draw(t, "random")
		if d := Backoff(failures, random); d < shortestWait || d > longestWait {
			t.Errorf("%s", d)
		}
	})
}

// half is a random source without chance.
func half() float64 { return 0.5 }

func TestAttachingWaitsLongerWithEachFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		start, at := time.Now(), []time.Duration{}
		a := &attachment{reporter: newReporter(half), random: half, log: discard(), open: func(context.Context, activity) (io.ReadCloser, error) {
			if at = append(at, time.Since(start)); len(at) == 5 {
				cancel()
			}
			return nil, errors.New("no route")
		}}
		a.run(ctx)
		want := []time.Duration{0, 250 * time.Millisecond, 700 * time.Millisecond, 1550 * time.Millisecond, 3200 * time.Millisecond}
		if diff := cmp.Diff(want, at); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
	})
}

func TestAPodSaysOnceThatTheGatewayStaysAway(t *testing.T) {
	for name, tc := range map[string]struct {
		away time.Duration
		want int // lines
	}{
		"an upgrade":  {50 * time.Second, 0},
		"for an hour": {time.Hour, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tc.away)
				defer cancel()
				out := &bytes.Buffer{}
				a := &attachment{
					reporter: newReporter(half), random: half, log: slog.New(slog.NewTextHandler(out, nil)),
					open: func(context.Context, activity) (io.ReadCloser, error) { return nil, errors.New("no route") },
				}
				a.run(ctx)
				if got := strings.Count(out.String(), "\n"); got != tc.want {
					t.Errorf("it wrote %d lines, want %d:\n%s", got, tc.want, out)
				}
			})
		})
	}
}

func TestAGatewayThatSaysNothingIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &attachment{reporter: newReporter(half), random: half, log: discard(), open: func(ctx context.Context, _ activity) (io.ReadCloser, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		start := time.Now()
		if attached, err := a.once(t.Context()); attached || err == nil || time.Since(start) != attachTimeout {
			t.Errorf("attached %v, %v, after %s", attached, err, time.Since(start))
		}
	})
}

func TestTheLatestActivityWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReporter(half)
		var sent []work
		var down atomic.Bool
		down.Store(true)
		go r.run(t.Context(), func(_ context.Context, a activity) error {
			sent = append(sent, a.Work)
			if down.Load() {
				return errors.New("no route")
			}
			return nil
		})
		first := r.change(activity{Work: workBusy})
		if r.delivered(t.Context(), first) {
			t.Error("it was delivered to a gateway that is away")
		}
		r.change(activity{Work: workIdle})
		last := r.change(activity{Work: workBusy})
		if r.delivered(t.Context(), last) {
			t.Error("it waits for a gateway that is away")
		}
		synctest.Wait()
		down.Store(false)
		time.Sleep(time.Second)
		synctest.Wait()
		if !r.delivered(t.Context(), last) || !r.delivered(t.Context(), first) {
			t.Error("it wasn't delivered")
		}
		if diff := cmp.Diff([]work{workBusy, workBusy}, sent); diff != "" {
			t.Errorf("reports (-want +got):\n%s", diff)
		}
	})
}

func TestAttachingReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReporter(half)
		reports := 0
		go r.run(t.Context(), func(context.Context, activity) error {
			reports++
			return errors.New("no route")
		})
		version := r.change(activity{LaunchID: "1"})
		synctest.Wait()
		r.took(version) // as the stream does
		time.Sleep(time.Hour)
		if reports != 1 {
			t.Errorf("it was reported %d times", reports)
		}
	})
}
