// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	pictures  = 36 // of a run, however long it was, so that the file stays small
	playEvery = 400 * time.Millisecond
	holdLast  = 8 * time.Second
)

// recordSize is that of the recorded screen, whatever the real one is.
var recordSize = Size{Width: 80, Height: 26}

// cell is one character of the screen.
type cell struct {
	char   rune
	fg, bg Colour
	bold   bool
}

// grid is a whole screen, line by line.
type grid [][]cell

// Recorder makes an animated SVG of a run.
type Recorder struct {
	models []Model
	last   []Line
}

// Show records the model as it is now. Its history only ever grows, so that the recorder needs no copy of it.
func (r *Recorder) Show(m *Model) {
	model := *m
	model.History = slices.Clone(m.History)
	r.models = append(r.models, model)
}

// Last records the last picture, which stays for a while.
func (r *Recorder) Last(lines []Line) { r.last = lines }

// grids are the pictures to show, all in the scale of the last one: what has been drawn once stays as it is.
func (r *Recorder) grids() []grid {
	var grids []grid
	if n := len(r.models); n > 0 {
		final := r.models[n-1]
		for i := range pictures {
			m := r.models[i*(n-1)/(pictures-1)]
			m.Expected, m.scale = final.Elapsed, final.most()
			grids = append(grids, gridOf(m.Frame(recordSize, true)))
		}
	}
	return append(grids, gridOf(r.last))
}

// WriteFile writes the recording.
func (r *Recorder) WriteFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write the recording: %w", err)
	}
	if err := os.WriteFile(path, []byte(r.svg()), 0o644); err != nil {
		return fmt.Errorf("write the recording: %w", err)
	}
	return nil
}

func gridOf(lines []Line) grid {
	g := make(grid, recordSize.Height)
	for row := range g {
		g[row] = make([]cell, recordSize.Width)
		for column := range g[row] {
			g[row][column].char = ' '
		}
		if row >= len(lines) {
			continue
		}
		column := 0
		for _, span := range lines[row].cut(recordSize.Width) {
			for _, char := range span.Text {
				g[row][column] = cell{char: char, fg: span.FG, bg: span.BG, bold: span.Bold}
				column++
			}
		}
	}
	return g
}

// svg draws every picture as what has changed since the one before, on top of it: that is a fraction of the size.
func (r *Recorder) svg() string {
	var b strings.Builder
	grids := r.grids()
	total := playEvery*time.Duration(len(grids)-1) + holdLast
	width, height := recordSize.Width*cellWidth+2*margin, recordSize.Height*cellHeight+2*margin
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`+"\n", width, height, width, height)
	b.WriteString("<title>HotStandbyJob demo: a recording of a real run, played faster</title>\n<style>\n")
	b.WriteString(styles)
	for i := range grids {
		if i > 0 {
			percent := 100 * float64(playEvery*time.Duration(i)) / float64(total)
			fmt.Fprintf(&b, "@keyframes f%d{0%%{visibility:hidden}%.2f%%,100%%{visibility:visible}}#f%d{animation:f%d %.1fs step-end infinite}\n",
				i, percent, i, i, total.Seconds())
		}
	}
	// Who wants nothing to move sees the last picture.
	b.WriteString("@media (prefers-reduced-motion:reduce){g{animation:none!important}}\n</style>\n")
	fmt.Fprintf(&b, `<rect class="b" width="%d" height="%d" rx="8"/>`+"\n", width, height)
	before := gridOf(nil)
	for i, g := range grids {
		fmt.Fprintf(&b, `<g id="f%d">`, i)
		drawChanges(&b, before, g)
		b.WriteString("</g>\n")
		before = g
	}
	b.WriteString("</svg>\n")
	return b.String()
}
