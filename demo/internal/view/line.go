// SPDX-License-Identifier: Apache-2.0

// Package view draws what the demo shows: frames of a table and charts for a terminal that can be redrawn, lines for one
// that can't, and a recording as an animated SVG. It only draws; what it draws is in a Model.
package view

import (
	"strings"
	"unicode/utf8"
)

// Colour is the colour of text, or of what is behind it.
type Colour uint8

// The colours, by what they mean.
const (
	None Colour = iota
	Green
	Yellow
	Grey
	Red
	Cyan
)

// Span is a piece of a line in one style.
type Span struct {
	Text   string
	FG, BG Colour
	Bold   bool
}

// Line is one line of the screen.
type Line []Span

// Text is a line, or a piece of one, without any style.
func Text(text string) Line { return Line{{Text: text}} }

// Width is the number of columns that a line takes. All characters in use are one column wide.
func (l Line) Width() int {
	n := 0
	for _, s := range l {
		n += utf8.RuneCountInString(s.Text)
	}
	return n
}

// cut is the line without what doesn't fit.
func (l Line) cut(width int) Line {
	var out Line
	for _, s := range l {
		n := utf8.RuneCountInString(s.Text)
		if n > width {
			s.Text = string([]rune(s.Text)[:max(0, width)])
		}
		out = append(out, s)
		if width -= n; width <= 0 {
			break
		}
	}
	return out
}

// Wrap breaks text into lines of at most width columns.
func Wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// Plain is the line's text.
func (l Line) Plain() string {
	var b strings.Builder
	for _, s := range l {
		b.WriteString(s.Text)
	}
	return strings.TrimRight(b.String(), " ")
}

// ANSI is the line with the codes that terminals read.
func (l Line) ANSI() string {
	foreground := [...]string{None: "", Green: "32", Yellow: "33", Grey: "90", Red: "31", Cyan: "36"}
	background := [...]string{None: "", Green: "42", Yellow: "43", Grey: "100", Red: "41", Cyan: "46"}
	var b strings.Builder
	for _, s := range l {
		var codes []string
		if s.Bold {
			codes = append(codes, "1")
		}
		if s.FG != None {
			codes = append(codes, foreground[s.FG])
		}
		if s.BG != None {
			codes = append(codes, background[s.BG])
		}
		if len(codes) == 0 {
			b.WriteString(s.Text)
			continue
		}
		b.WriteString("\x1b[" + strings.Join(codes, ";") + "m" + s.Text + "\x1b[0m")
	}
	return b.String()
}
