// SPDX-License-Identifier: Apache-2.0

package script

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/demo/internal/track"
	"github.com/paia-tech/hotstandbyjob/demo/internal/view"
)

const (
	// promised is within which time a replacement's Job is there, but for one in a hundred.
	promised = 100 * time.Millisecond
	// slow is from where on one Job POST says that the machine is too slow for that promise to be judged.
	slow = 50 * time.Millisecond
)

// Result is what was measured.
type Result struct {
	Pools map[types.NamespacedName]track.Pool
	Posts []time.Duration // Job POSTs of the demo's own

	Launches Launches

	Simulated bool // the pods that the demo marked busy are
}

// Faults are the promises that did not hold.
func (r Result) Faults(p *Pools) []string {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for _, name := range p.names() {
		pool := r.Pools[name]
		if pool.Surplus > 0 {
			fault("%s: %d Jobs more than needed were made while it was filled", name.Name, pool.Surplus)
		}
		if n := len(pool.BusyEnded); n > 0 {
			fault("%s: %d busy pods were deleted: %v", name.Name, n, pool.BusyEnded)
		}
		if !kept(pool.Waits) && !r.tooSlow() {
			fault("%s: %d of %d busy pods were replaced after more than the promised %s, the last after %s",
				name.Name, late(pool.Waits), len(pool.Waits), view.Milliseconds(promised), view.Milliseconds(slices.Max(pool.Waits)))
		}
		if l := pool.Lowered; l != nil {
			if l.Retired > 0 && l.First < pool.Delay {
				fault("%s: an idle pod was retired after %s: the delay is %s", name.Name, view.Seconds(l.First), pool.Delay)
			}
			if l.BusyLost > 0 {
				fault("%s: of %d pods that were busy when its target was lowered, %d did not finish their work", name.Name, l.Busy, l.BusyLost)
			}
		}
	}
	if n := r.Launches.Missed; n > 0 {
		fault("%s: %d Jobs started cold, although pods were idle", p.Launch.Name, n)
	}
	return faults
}

func (r Result) tooSlow() bool { return percentile(r.Posts, 99) > slow }

// late is how many of the times are longer than promised.
func late(times []time.Duration) (n int) {
	for _, t := range times {
		if t > promised {
			n++
		}
	}
	return n
}

// kept tells whether the times keep the promise. A single late one says nothing about one in a hundred, however few they are:
// their 99th percentile is the slowest of them.
func kept(times []time.Duration) bool { return late(times) <= max(1, len(times)/100) }

// Lines say what was measured.
func (r Result) Lines(p *Pools) []view.Line {
	lines := []view.Line{
		{{Text: "Measured by the demo from its own watch of Jobs and pods", Bold: true}},
		nil,
		{{Text: fmt.Sprintf("  %-47s %8s %8s %8s", "", "p50", "p99", "max"), FG: view.Grey}},
		r.row("pod turns busy → replacement's Job is there", nil, false),
	}
	lines = append(lines,
		r.row(fmt.Sprintf("  %s, marked by the demo", p.Flip.Name), r.Pools[key(p.Flip)].Waits, true),
		r.row(fmt.Sprintf("  %s, by themselves", p.Match.Name), r.Pools[key(p.Match)].Waits, true),
		r.row("one Job POST, for comparison", r.Posts, false),
		nil,
		view.Line{{Text: fmt.Sprintf("  %-14s %10s %10s %10s %12s %11s", "", "filled in", "most Jobs", "replaced", "fewest idle", "busy ended"), FG: view.Grey}},
		view.Line{{Text: fmt.Sprintf("  %-14s %10s %10s %10s %12s %11s", "", "", "till then", "", "after that", "by us"), FG: view.Grey}},
	)
	for _, h := range p.All() {
		lines = append(lines, poolLine(r.Pools[key(h)], int(h.Spec.IdleTarget)))
	}
	lines = append(lines, nil)
	lines = append(lines, lowered(r.Pools[key(p.Match)])...)
	lines = append(lines, r.Launches.lines()...)
	lines = append(lines, nil)
	return append(lines, r.notes(p)...)
}

func (r Result) notes(p *Pools) []view.Line {
	var lines []view.Line
	note := func(format string, args ...any) {
		lines = append(lines, view.Line{{Text: "  " + fmt.Sprintf(format, args...), FG: view.Grey}})
	}
	flip, match := r.Pools[key(p.Flip)].Waits, r.Pools[key(p.Match)].Waits
	switch n := late(flip) + late(match); {
	case kept(flip) && kept(match) && n > 0:
		note("Promised are %s but for one in a hundred; later was %d of %d.", view.Milliseconds(promised), n, len(flip)+len(match))
	case n > 0 && r.tooSlow():
		note("? A single Job POST takes too long here to judge the promised %s.", view.Milliseconds(promised))
	}
	note("All pods of %s end by themselves, 30 s after they began.", p.Seed.Name)
	if r.Simulated {
		note("%s's pods are simulated ones; all others are real containers.", p.Flip.Name)
	}
	return lines
}

func (r Result) row(what string, times []time.Duration, judge bool) view.Line {
	if times == nil {
		return view.Text("  " + what)
	}
	what = fmt.Sprintf("%s (%d)", what, len(times))
	l := view.Text(fmt.Sprintf("  %-47s %8s %8s %8s", what, view.Milliseconds(percentile(times, 50)),
		view.Milliseconds(percentile(times, 99)), view.Milliseconds(slices.Max(times))))
	switch {
	case !judge:
	case kept(times):
		l = append(l, view.Span{Text: " ✓", FG: view.Green})
	case r.tooSlow():
		l = append(l, view.Span{Text: " ?", FG: view.Yellow})
	default:
		l = append(l, view.Span{Text: " ✗", FG: view.Red})
	}
	return l
}

func poolLine(p track.Pool, target int) view.Line {
	filled := "-"
	if p.FilledAfter > 0 {
		filled = view.Seconds(p.FilledAfter)
	}
	l := view.Line{
		{Text: fmt.Sprintf("  %-14s", p.Name.Name)},
		{Text: fmt.Sprintf(" %10s %10d", filled, p.MostJobs)},
		{Text: fmt.Sprintf(" %10d %12s", p.Replaced, fmt.Sprintf("%d of %d", p.FewestIdle, target))},
		{Text: fmt.Sprintf(" %11d", len(p.BusyEnded))},
	}
	if len(p.BusyEnded) == 0 && p.Surplus <= 0 {
		return append(l, view.Span{Text: " ✓", FG: view.Green})
	}
	return append(l, view.Span{Text: " ✗", FG: view.Red})
}

func lowered(p track.Pool) []view.Line {
	l := p.Lowered
	if l == nil {
		return nil
	}
	retired := "none was there to retire"
	if l.Retired > 0 {
		retired = fmt.Sprintf("%d idle pods retired after %.1f to %.1f s", l.Retired, l.First.Seconds(), l.Last.Seconds())
	}
	return []view.Line{
		view.Text(fmt.Sprintf("  %s, %d to %d: %s (delay: %s)", p.Name.Name, l.From, l.To, retired, p.Delay)),
		view.Text(fmt.Sprintf("  %d of its pods were busy then: %d finished their work", l.Busy, l.BusyFinished)),
	}
}

// percentile is the smallest of the times that so many percent of them don't exceed.
func percentile(times []time.Duration, percent int) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[max(0, (len(sorted)*percent+99)/100-1)]
}
