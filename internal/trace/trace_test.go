// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/paia-tech/hotstandbyjob/internal/journal"
)

var (
	noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	game = types.NamespacedName{Namespace: "default", Name: "game"}
)

// made is a tracer, and what it has made: each span with its parent and its times in milliseconds after noon.
func made() (*Tracer, *clocktesting.FakePassiveClock, func() []string) {
	exporter, clock := tracetest.NewInMemoryExporter(), clocktesting.NewFakePassiveClock(noon)
	return To(clock, sdktrace.WithSyncer(exporter)), clock, func() (lines []string) {
		spans := exporter.GetSpans()
		names := map[string]string{}
		for _, s := range spans {
			names[s.SpanContext.SpanID().String()] = s.Name
		}
		slices.SortStableFunc(spans, func(a, b tracetest.SpanStub) int { return a.StartTime.Compare(b.StartTime) })
		for _, s := range spans {
			parent := ""
			if s.Parent.IsValid() {
				parent = " of " + s.Parent.SpanID().String()
				if name := names[s.Parent.SpanID().String()]; name != "" {
					parent = " of " + name
				}
			}
			lines = append(lines, fmt.Sprintf("%s%s %d-%d", s.Name, parent, s.StartTime.Sub(noon).Milliseconds(), s.EndTime.Sub(noon).Milliseconds()))
		}
		slices.Sort(lines)
		return lines
	}
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func TestALaunchIsOneTraceFromItsAdmissionOn(t *testing.T) {
	tracer, clock, spans := made()
	end := tracer.Admission("default", "job", "")
	clock.SetTime(noon.Add(ms(4)))
	parent := end()
	id := tracer.Launch(journal.Launch{
		Pool: game, Job: "job", Pod: "pod", Start: journal.Warm, Seen: noon.Add(ms(10)), Started: noon.Add(ms(25)),
		Queue: ms(1), Claim: ms(4), Deliver: ms(2), Begin: ms(8),
	}, parent)
	want := []string{
		"admission 0-4", "claim of launch 11-15", "deliver of launch 15-17", "launch of admission 10-25", "queue of launch 10-11", "start of launch 17-25",
	}
	if diff := cmp.Diff(want, spans()); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	if id == "" || !strings.Contains(parent, id) {
		t.Errorf("the trace is %q, and the admission's %q", id, parent)
	}
}

func TestOtherLaunches(t *testing.T) {
	const users = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, tc := range map[string]struct {
		launch journal.Launch
		parent string
		want   []string
		id     string
	}{
		"a cold one in a user's trace": {
			journal.Launch{Start: journal.Cold, Reason: "no pod was idle", Seen: noon, Started: noon.Add(ms(900)), Queue: ms(100), Begin: ms(800)},
			users,
			[]string{"launch of b7ad6b7169203331 0-900", "queue of launch 0-100", "start of launch 100-900"},
			"0af7651916cd43dd8448eb211c80319c",
		},
		"one that was rejected": {
			journal.Launch{Start: journal.Rejected, Seen: noon, Started: noon.Add(ms(5)), Queue: ms(5)},
			"no traceparent",
			[]string{"launch 0-5", "queue of launch 0-5"},
			"",
		},
		"one in a trace that isn't kept": {
			journal.Launch{Start: journal.Warm, Seen: noon, Started: noon.Add(ms(5))}, strings.TrimSuffix(users, "1") + "0", nil, "none",
		},
	} {
		t.Run(name, func(t *testing.T) {
			tracer, _, spans := made()
			tc.launch.Pool = game
			id := tracer.Launch(tc.launch, tc.parent)
			if diff := cmp.Diff(tc.want, spans()); diff != "" {
				t.Errorf("spans (-want +got):\n%s", diff)
			}
			if tc.id == "none" && id != "" || tc.id != "none" && (id == "" || tc.id != "" && id != tc.id) {
				t.Errorf("its trace is %q, want %q", id, tc.id)
			}
		})
	}
}

func TestWithoutATracerThereAreNoTraces(t *testing.T) {
	var none *Tracer
	if id := none.Launch(journal.Launch{}, ""); id != "" {
		t.Errorf("trace %q", id)
	}
}

// An endpoint that doesn't answer keeps neither the start nor launches waiting, nor the end for long.
func TestAnEndpointThatIsAway(t *testing.T) {
	for _, endpoint := range []string{"127.0.0.1:1", "http://127.0.0.1:1", "https://127.0.0.1:1"} {
		ctx, cancel := context.WithCancel(t.Context())
		tracer, err := New(ctx, endpoint, clocktesting.NewFakePassiveClock(noon))
		if err != nil {
			t.Fatal(err)
		}
		if id := tracer.Launch(journal.Launch{Pool: game, Seen: noon, Started: noon}, ""); id == "" {
			t.Errorf("%s: there is no trace", endpoint)
		}
		cancel()
		tracer.lastWords = 10 * time.Millisecond
		if err := tracer.Start(ctx); err != nil {
			t.Errorf("%s: it ended by %v", endpoint, err)
		}
	}
}
