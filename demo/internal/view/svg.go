// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"html"
	"slices"
	"strings"
)

const (
	cellWidth  = 8
	cellHeight = 17
	baseline   = 13
	margin     = 12
	joinGap    = 2 // unchanged cells between two changes that are drawn along with them

	styles = `text{font:13.28px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre;fill:#c9d1d9}
.b{fill:#0d1117}.c1{fill:#3fb950}.c2{fill:#d29922}.c3{fill:#6e7681}.c4{fill:#f85149}.c5{fill:#39c5cf}.w{font-weight:bold}
`
)

// drawChanges draws the cells that differ from what was there before.
func drawChanges(b *strings.Builder, before, after grid) {
	for row := range after {
		for from := 0; from < len(after[row]); {
			if after[row][from] == before[row][from] {
				from++
				continue
			}
			to := changedUntil(before[row], after[row], from)
			fmt.Fprintf(b, `<rect class="b" x="%d" y="%d" width="%d" height="%d"/>`,
				x(from), y(row), (to-from)*cellWidth, cellHeight)
			drawCells(b, after[row][from:to], from, row)
			from = to
		}
	}
}

// changedUntil is where a run of changes ends. A few unchanged cells don't end it.
func changedUntil(before, after []cell, from int) int {
	to := from + 1
	for i := from; i < len(after) && i <= to+joinGap; i++ {
		if after[i] != before[i] {
			to = i + 1
		}
	}
	return to
}

// drawCells draws cells, those of the same style together.
func drawCells(b *strings.Builder, cells []cell, column, row int) {
	for len(cells) > 0 {
		n := 1
		for n < len(cells) && sameStyle(cells[0], cells[n]) {
			n++
		}
		drawRun(b, cells[:n], column, row)
		cells, column = cells[n:], column+n
	}
}

func sameStyle(a, b cell) bool {
	if filled(a.char) > 0 || filled(b.char) > 0 {
		return a == b
	}
	return a.fg == b.fg && a.bg == b.bg && a.bold == b.bold
}

// filled is how many eighths of a cell a block fills, 0 if it is no block.
func filled(char rune) int { return max(0, slices.Index(blocks[:], string(char))) }

func drawRun(b *strings.Builder, run []cell, column, row int) {
	first := run[0]
	if first.bg != None {
		rect(b, first.bg, []int{x(column), y(row), len(run) * cellWidth, cellHeight})
	}
	if n := filled(first.char); n > 0 {
		height := (cellHeight*n + eighths/2) / eighths
		rect(b, first.fg, []int{x(column), y(row) + cellHeight - height, len(run) * cellWidth, height})
		return
	}
	var text strings.Builder
	for _, c := range run {
		text.WriteRune(c.char)
	}
	// Runs of spaces may be drawn as one: every piece between them gets its place.
	for piece := range strings.SplitSeq(text.String(), "  ") {
		drawText(b, piece, column, row, class(first))
		column += len([]rune(piece)) + len("  ")
	}
}

func drawText(b *strings.Builder, text string, column, row int, class string) {
	trimmed := strings.TrimLeft(text, " ")
	column += len(text) - len(trimmed)
	trimmed = strings.TrimRight(trimmed, " ")
	length := len([]rune(trimmed))
	if length == 0 {
		return
	}
	fmt.Fprintf(b, `<text x="%d" y="%d"%s`, x(column), y(row)+baseline, class)
	if length > 1 {
		// Whatever font there is, the columns stay where they are.
		fmt.Fprintf(b, ` textLength="%d"`, length*cellWidth)
	}
	fmt.Fprintf(b, `>%s</text>`, html.EscapeString(trimmed))
}

func rect(b *strings.Builder, colour Colour, at []int) {
	fmt.Fprintf(b, `<rect class="c%d" x="%d" y="%d" width="%d" height="%d"/>`, colour, at[0], at[1], at[2], at[3])
}

func class(c cell) string {
	var classes []string
	if c.fg != None {
		classes = append(classes, fmt.Sprintf("c%d", c.fg))
	}
	if c.bold {
		classes = append(classes, "w")
	}
	if classes == nil {
		return ""
	}
	return fmt.Sprintf(` class=%q`, strings.Join(classes, " "))
}

func x(column int) int { return margin + column*cellWidth }
func y(row int) int    { return margin + row*cellHeight }
