// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"time"

	"github.com/paia-tech/hotstandbyjob/demo/internal/track"
)

// Sample is how many pods did what at a moment.
type Sample struct {
	At                   time.Duration
	Idle, Busy, Starting int
}

const (
	eighths   = 8
	axisWidth = 5 // "  20┤"
)

// blocks fill so many eighths of a cell from below.
var blocks = [...]string{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}

// shades stand for the colours where there are none.
var shades = map[Colour]string{None: " ", Green: "█", Yellow: "▒", Grey: "░"}

// chart is a stacked bar for every moment, from the left to the right.
type chart struct {
	samples []Sample
	span    time.Duration // what the whole width stands for
	most    int           // what the whole height stands for
	width   int
	height  int
	colour  bool
}

func (c chart) lines() []Line {
	lines := make([]Line, c.height)
	for row := range c.height {
		lines[row] = Line{{Text: c.axis(row), FG: Grey}}
	}
	next := 0
	for column := range c.width - axisWidth {
		until := c.span * time.Duration(column+1) / time.Duration(c.width-axisWidth)
		for next < len(c.samples) && c.samples[next].At < until {
			next++
		}
		if next == 0 {
			continue
		}
		for row := range c.height {
			lines[row] = append(lines[row], c.cell(c.samples[next-1], c.height-1-row))
		}
		if next == len(c.samples) {
			break // the rest is in the future
		}
	}
	for row := range lines {
		lines[row] = merge(lines[row])
	}
	return lines
}

func (c chart) axis(row int) string {
	switch row {
	case 0:
		return fmt.Sprintf("%4d┤", c.most)
	case c.height - 1:
		return "   0┤"
	default:
		return "    │"
	}
}

// cell is one character of a bar: row 0 is the lowest.
func (c chart) cell(s Sample, row int) Span {
	full := c.height * eighths
	limits := []struct {
		colour Colour
		until  int
	}{
		{Green, s.Idle * full / c.most},
		{Yellow, (s.Idle + s.Busy) * full / c.most},
		{Grey, (s.Idle + s.Busy + s.Starting) * full / c.most},
	}
	var count [Grey + 1]int
	for eighth := row * eighths; eighth < (row+1)*eighths; eighth++ {
		colour := None
		for _, l := range limits {
			if eighth < l.until {
				colour = l.colour
				break
			}
		}
		count[colour]++
	}
	if !c.colour {
		return Span{Text: shades[dominant(count, -1)]}
	}
	return twoColours(count)
}

// twoColours is a cell with the two colours that take most of it: more than two can't be shown.
func twoColours(count [Grey + 1]int) Span {
	first := dominant(count, -1)
	second := dominant(count, int(first))
	if count[second] == 0 {
		if first == None {
			return Span{Text: " "}
		}
		return Span{Text: blocks[eighths], FG: first}
	}
	// From below: green, yellow, grey, nothing.
	lower, upper := first, second
	if lower == None || (upper != None && upper < lower) {
		lower, upper = upper, lower
	}
	filled := (count[lower]*eighths + (count[lower]+count[upper])/2) / (count[lower] + count[upper])
	if filled >= eighths {
		return Span{Text: blocks[eighths], FG: lower}
	}
	return Span{Text: blocks[max(1, filled)], FG: lower, BG: upper}
}

// dominant is the colour that takes most, but one.
func dominant(count [Grey + 1]int, but int) Colour {
	best := -1
	for colour, n := range count {
		if colour != but && (best < 0 || n > count[best]) {
			best = colour
		}
	}
	return Colour(best)
}

// merge joins neighbours of the same style.
func merge(l Line) Line {
	var out Line
	for _, s := range l {
		if n := len(out); n > 0 && out[n-1].FG == s.FG && out[n-1].BG == s.BG && out[n-1].Bold == s.Bold {
			out[n-1].Text += s.Text
			continue
		}
		out = append(out, s)
	}
	return out
}

func sampleOf(p track.Pool, at time.Duration) Sample {
	return Sample{At: at, Idle: p.Idle, Busy: p.Busy, Starting: p.Starting}
}
