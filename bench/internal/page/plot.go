// SPDX-License-Identifier: Apache-2.0

package page

import (
	"fmt"
	"math"
	"strings"

	"github.com/paia-tech/hotstandbyjob/bench/internal/measure"
	"github.com/paia-tech/hotstandbyjob/bench/internal/result"
)

// The size of a plot, and of its margins, in the units of its view box.
const (
	width, height             = 720.0, 300.0
	left, right, top, bottom  = 64.0, 16.0, 12.0, 34.0
	colours                   = 9 // that the style sheet has
	smallest                  = 1e-3
	lastPercent, beyondTheEnd = 99.9, 0.05
)

// plot is latencies over percentiles. Both axes are logarithmic, that of percentiles in what is left to 100: each step to
// the right is a tenth of the requests, and the slowest, which matter most, have as much room as all others.
type plot struct {
	Width, Height float64
	Left, Right   float64
	Top, Bottom   float64
	X, Y          []mark
	Lines         []line
}

// mark is a line of the grid and its text.
type mark struct {
	At   float64
	Text string
}

// line is one latency.
type line struct {
	Name   string
	Colour int // from 1
	Points string
}

// plotOf draws the latencies of a case, nil if there are none.
func plotOf(latencies map[string]measure.Latency) *plot {
	low, high := math.Inf(1), math.Inf(-1)
	for _, l := range latencies {
		for _, v := range l.Curve {
			low, high = min(low, max(v, smallest)), max(high, max(v, smallest))
		}
	}
	if low > high {
		return nil
	}
	low, high = math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high)))
	if low == high {
		high *= 10
	}
	y := func(v float64) float64 {
		share := math.Log10(max(v, smallest)/low) / math.Log10(high/low)
		return height - bottom - share*(height-top-bottom)
	}
	p := &plot{Width: width, Height: height, Left: left, Right: width - right, Top: top, Bottom: height - bottom}
	for _, percent := range []float64{0, 50, 90, 99, lastPercent} {
		p.X = append(p.X, mark{x(percent), fmt.Sprintf("%g %%", percent)})
	}
	for v := low; v <= high*1.001; v *= 10 {
		p.Y = append(p.Y, mark{y(v), fmt.Sprintf("%g ms", v)})
	}
	for i, name := range result.Names(latencies) {
		if points := pointsOf(latencies[name].Curve, y); points != "" {
			p.Lines = append(p.Lines, line{Name: name, Colour: i%colours + 1, Points: points})
		}
	}
	return p
}

func pointsOf(curve []float64, y func(float64) float64) string {
	var text strings.Builder
	percents := measure.Percents()
	for i, v := range curve[:min(len(curve), len(percents))] {
		fmt.Fprintf(&text, "%.1f,%.1f ", x(percents[i]), y(v))
	}
	return strings.TrimSuffix(text.String(), " ")
}

// x is where a percentile is. 100 would be infinitely far away: it stands a little beyond the last that is not.
func x(percent float64) float64 {
	nines := func(percent float64) float64 { return -math.Log10(1 - percent/100) }
	if percent > lastPercent {
		return width - right
	}
	return left + nines(percent)/nines(lastPercent)*(1-beyondTheEnd)*(width-left-right)
}
