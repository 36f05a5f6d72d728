// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/paia-tech/hotstandbyjob/demo/internal/track"
)

// Chapter is what is going on.
type Chapter struct {
	Step     int    // of the model's steps; the number of them: all are done
	Text     string // in plain words
	Progress string // how far it is

	PoolsOver bool // what the pools were doing last isn't so any more
}

// Model is what can be seen.
type Model struct {
	Title    string
	Steps    []string
	Expected time.Duration // how long it takes, more or less

	Chapter Chapter
	Elapsed time.Duration
	Pools   []track.Pool
	History [][]Sample // by pool

	scale []int // the least that the charts' full height stands for
}

// Add takes the pools as they are at a time.
func (m *Model) Add(pools []track.Pool, elapsed time.Duration) {
	m.Pools, m.Elapsed = pools, elapsed
	if m.History == nil {
		m.History = make([][]Sample, len(pools))
	}
	for i, p := range pools {
		m.History[i] = append(m.History[i], sampleOf(p, elapsed))
	}
}

// Size is how much a screen holds.
type Size struct{ Width, Height int }

const (
	fixedLines  = 11 // all but the charts
	maxHeight   = 8  // of a chart
	textLines   = 2
	leastHeight = 2
)

// Frame is the whole picture. It takes at most size.Height lines.
func (m *Model) Frame(size Size, colour bool) []Line {
	lines := []Line{m.title(size.Width), m.steps()}
	lines = append(lines, m.text(size.Width)...)
	lines = append(lines, nil)
	lines = append(lines, m.table()...)
	height := 0
	if len(m.Pools) > 0 {
		height = min(maxHeight, (size.Height-fixedLines)/len(m.Pools)-1)
	}
	if height >= leastHeight {
		lines = append(lines, nil, legend(colour))
		most := m.most()
		for i, p := range m.Pools {
			lines = append(lines, Line{{Text: "  " + p.Name.Name, Bold: true}})
			c := chart{
				samples: m.History[i], span: max(m.Expected, m.Elapsed), most: most[i],
				width: size.Width, height: height, colour: colour,
			}
			lines = append(lines, c.lines()...)
		}
	}
	for i := range lines {
		lines[i] = lines[i].cut(size.Width)
	}
	return lines[:min(len(lines), size.Height)]
}

// most is what the full height of each pool's chart stands for.
func (m *Model) most() []int {
	most := make([]int, len(m.History))
	copy(most, m.scale)
	for i, samples := range m.History {
		for _, s := range samples {
			most[i] = max(most[i], s.Idle+s.Busy+s.Starting, 1)
		}
	}
	return most
}

func (m *Model) title(width int) Line {
	clock := Clock(m.Elapsed)
	gap := max(1, width-len([]rune(m.Title))-len(clock))
	return Line{{Text: m.Title, Bold: true}, {Text: strings.Repeat(" ", gap)}, {Text: clock, FG: Grey}}
}

func (m *Model) steps() Line {
	var l Line
	for i, step := range m.Steps {
		switch {
		case i < m.Chapter.Step:
			l = append(l, Span{Text: "✓ " + step, FG: Green})
		case i == m.Chapter.Step:
			l = append(l, Span{Text: "▶ " + step, FG: Cyan, Bold: true})
		default:
			l = append(l, Span{Text: "· " + step, FG: Grey})
		}
		l = append(l, Span{Text: "   "})
	}
	return l
}

func (m *Model) text(width int) []Line {
	lines := make([]Line, textLines)
	text := m.Chapter.Text
	if m.Chapter.Progress != "" {
		text += " " + m.Chapter.Progress
	}
	for i, line := range Wrap(text, width-2) {
		if i < textLines {
			lines[i] = Text("  " + line)
		}
	}
	return lines
}

func (m *Model) table() []Line {
	lines := []Line{{{Text: fmt.Sprintf("  %-13s %6s %5s %5s %9s %9s  %s",
		"POOL", "TARGET", "IDLE", "BUSY", "STARTING", "REPLACED", "LATEST AFTER"), FG: Grey}}}
	for _, p := range m.Pools {
		latest := "-"
		if len(p.Waits) > 0 {
			latest = Milliseconds(p.LastWait)
		}
		lines = append(lines, Line{
			{Text: fmt.Sprintf("  %-13s", p.Name.Name), Bold: true},
			{Text: fmt.Sprintf(" %6d", p.Target)},
			{Text: fmt.Sprintf(" %5d", p.Idle), FG: Green},
			{Text: fmt.Sprintf(" %5d", p.Busy), FG: Yellow},
			{Text: fmt.Sprintf(" %9d", p.Starting), FG: Grey},
			{Text: fmt.Sprintf(" %9d  %12s", p.Replaced, latest)},
		})
	}
	return lines
}

func legend(colour bool) Line {
	l := Line{{Text: "  "}}
	for _, e := range []struct {
		colour Colour
		name   string
	}{{Green, "idle"}, {Yellow, "busy"}, {Grey, "starting"}} {
		if colour {
			l = append(l, Span{Text: blocks[eighths], FG: e.colour})
		} else {
			l = append(l, Span{Text: shades[e.colour]})
		}
		l = append(l, Span{Text: " " + e.name + "   "})
	}
	return l
}

// Status is the picture in one line of plain text.
func (m *Model) Status() string {
	parts := []string{"  " + Clock(m.Elapsed)}
	for _, p := range m.Pools {
		parts = append(parts, fmt.Sprintf("%s %d idle, %d busy, %d starting", p.Name.Name, p.Idle, p.Busy, p.Starting))
	}
	return strings.Join(parts, " | ")
}

// Clock writes a time as minutes and seconds.
func Clock(d time.Duration) string {
	seconds := int(d.Seconds())
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}

// Milliseconds writes a short time.
func Milliseconds(d time.Duration) string {
	if d >= 0 && d < 9950*time.Microsecond {
		return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
	}
	return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
}

// Seconds writes a time with a tenth of a second.
func Seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
