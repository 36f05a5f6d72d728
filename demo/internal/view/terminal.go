// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

const (
	redrawEvery = 250 * time.Millisecond
	lineEvery   = 2 * time.Second

	defaultWidth  = 80
	defaultHeight = 24
)

// Terminal is where everything is shown. Text that is written to it scrolls; frames are redrawn in place where the
// terminal can do that, and become a line from time to time where it can't.
type Terminal struct {
	out    io.Writer
	file   *os.File // nil: not a terminal
	redraw bool
	colour bool

	height   int // of the frame on the screen, in lines
	width    int // it was drawn for
	lastLine time.Duration
	lastText string
}

// NewTerminal returns the terminal that out is, if it is one. The environment may ask for no colours (NO_COLOR) or be
// unable to draw (TERM=dumb).
func NewTerminal(out *os.File, env func(string) string) *Terminal {
	t := &Terminal{out: out}
	if term.IsTerminal(int(out.Fd())) && env("TERM") != "dumb" {
		t.file, t.redraw = out, true
		t.colour = env("NO_COLOR") == ""
	}
	return t
}

// Say writes lines below what is there.
func (t *Terminal) Say(lines ...Line) {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(t.render(l) + "\n")
	}
	_, _ = io.WriteString(t.out, b.String()) // Where nobody can see it, it need not be seen.
}

// Sayf writes a line of plain text.
func (t *Terminal) Sayf(format string, args ...any) { t.Say(Text(fmt.Sprintf(format, args...))) }

// Every is how often Show wants to be called.
func (t *Terminal) Every() time.Duration { return redrawEvery }

// Show shows the model as it is now.
func (t *Terminal) Show(m *Model) {
	if !t.redraw {
		t.showLine(m)
		return
	}
	size := t.size()
	frame := m.Frame(size, t.colour)
	var b strings.Builder
	b.WriteString("\x1b[?2026h\x1b[?25l") // The terminal shows what follows at once, and no cursor.
	if t.height > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", t.height)
	}
	if size.Width != t.width {
		b.WriteString("\r\x1b[J") // A terminal of another width has broken the lines elsewhere.
	}
	for _, l := range frame {
		b.WriteString("\r" + t.render(l) + "\x1b[K\n")
	}
	b.WriteString("\x1b[J\x1b[?2026l")
	t.height, t.width = len(frame), size.Width
	_, _ = io.WriteString(t.out, b.String())
}

// Leave leaves the last frame where it is and gives the cursor back.
func (t *Terminal) Leave() {
	if t.redraw && t.height > 0 {
		_, _ = io.WriteString(t.out, "\x1b[?25h\n")
	}
	t.height = 0
}

func (t *Terminal) showLine(m *Model) {
	if m.Chapter.Text != t.lastText {
		t.lastText = m.Chapter.Text
		t.Sayf("%s", "")
		for _, line := range Wrap(m.Chapter.Text, defaultWidth) {
			t.Sayf("%s", line)
		}
		t.lastLine = m.Elapsed - lineEvery
	}
	if m.Elapsed-t.lastLine >= lineEvery {
		t.lastLine = m.Elapsed
		status := m.Status()
		if m.Chapter.PoolsOver {
			status = "  " + Clock(m.Elapsed)
		}
		t.Sayf("%s", strings.TrimRight(status+"  "+m.Chapter.Progress, " "))
	}
}

// size leaves the last line and column free, so that nothing scrolls or wraps.
func (t *Terminal) size() Size {
	width, height, err := term.GetSize(int(t.file.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		width, height = defaultWidth, defaultHeight
	}
	return Size{Width: min(width-1, 160), Height: height - 1}
}

func (t *Terminal) render(l Line) string {
	if t.colour {
		return l.ANSI()
	}
	return l.Plain()
}
