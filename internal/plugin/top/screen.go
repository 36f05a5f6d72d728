// SPDX-License-Identifier: Apache-2.0

package top

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/paia-tech/hotstandbyjob/internal/plugin/cluster"
	"github.com/paia-tech/hotstandbyjob/internal/plugin/page"
)

const (
	pace     = 2 * time.Second        // between two questions to the page
	calm     = 100 * time.Millisecond // at most ten pictures a second
	enter    = "\x1b[?1049h\x1b[?25l"
	leave    = "\x1b[?25h\x1b[?1049l"
	home     = "\x1b[H"
	eraseEnd = "\x1b[K"
	below    = "\x1b[J"
)

// show draws the table until the user ends it.
func show(ctx context.Context, cli *cluster.CLI, k *cluster.Cluster, o options, out *os.File) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	if _, err := list(ctx, k, o); err != nil { // says what a watch would keep to itself
		return err
	}
	w, err := watch(ctx, k, o)
	if err != nil {
		return err
	}
	keys := make(chan key)
	restore, err := keyboard(cli.In, keys)
	if err != nil {
		return err
	}
	defer restore()
	answers := make(chan answer)
	go poll(ctx, cli, opener(cli, k, o), o.namespace(k), answers)
	_, _ = io.WriteString(out, enter)
	defer func() { _, _ = io.WriteString(out, leave) }()
	p := picture{o: o}
	for {
		s := w.state()
		s.now = cli.Clock.Now()
		p.draw(out, s)
		select {
		case <-ctx.Done():
			return nil
		case pressed := <-keys:
			if pressed == quit {
				return nil
			}
			p.o.by = beside(p.o.by, int(pressed), o.all)
		case a := <-answers:
			p.known, p.why = a.known, a.why
		case <-w.changed:
			<-cli.Clock.After(calm)
		}
	}
}

// key is what a pressed key means: how many columns to go to the right, or the end.
type key int

const quit key = 1000

// keyboard has the terminal send each key at once, until restore is called. Without a terminal there are no keys.
func keyboard(in io.Reader, keys chan<- key) (restore func(), _ error) {
	file, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return func() {}, nil
	}
	before, err := term.MakeRaw(int(file.Fd()))
	if err != nil {
		return nil, err
	}
	go readKeys(file, keys)
	return func() { _ = term.Restore(int(file.Fd()), before) }, nil
}

// readKeys turns what a terminal sends into keys. It ends with the terminal.
func readKeys(in io.Reader, keys chan<- key) {
	buffer := make([]byte, 16)
	for {
		n, err := in.Read(buffer)
		if err != nil {
			return
		}
		if k, ok := keyOf(string(buffer[:n])); ok {
			keys <- k
		}
	}
}

func keyOf(sent string) (key, bool) {
	switch sent {
	case "q", "Q", "\x03", "\x04":
		return quit, true
	case "s", "\x1b[C", "\x1bOC":
		return 1, true
	case "S", "\x1b[D", "\x1bOD":
		return -1, true
	}
	return 0, false
}

// beside is the column so many to the right of another, of those that are shown.
func beside(by string, steps int, namespaces bool) string {
	names := sortNames()
	if !namespaces {
		names = names[1:]
	}
	i := max(0, slices.Index(names, by))
	return names[(i+steps+len(names))%len(names)]
}

// answer is what the page said.
type answer struct {
	known *page.Pools
	why   error
}

func poll(ctx context.Context, cli *cluster.CLI, open func(context.Context) (*page.Page, error), namespace string, to chan<- answer) {
	for {
		known, why := ask(ctx, open, namespace)
		select {
		case to <- answer{known, why}:
		case <-ctx.Done():
			return
		}
		select {
		case <-cli.Clock.After(pace):
		case <-ctx.Done():
			return
		}
	}
}

// picture is what is on the screen.
type picture struct {
	o     options
	known *page.Pools
	why   error
}

func (p *picture) draw(out *os.File, s state) {
	width, height, err := term.GetSize(int(out.Fd()))
	if err != nil || width < 1 {
		width, height = 80, 24
	}
	_, _ = io.WriteString(out, p.text(s, width, height))
}

// text is the whole screen.
func (p *picture) text(s state, width, height int) string {
	lines := render(sorted(s.rows(p.known), p.o.by), view{width: width, namespaces: p.o.all, by: p.o.by})
	foot := []string{fmt.Sprintf("%d pools, sorted by %s · s, ←, →: sort · q: quit", len(s.pools), p.o.by)}
	if p.why != nil {
		foot = append(wrapped(note(p.why), width), foot...)
	}
	if room := max(1, height-len(foot)); len(lines) > room {
		lines = lines[:room]
	}
	var out strings.Builder
	out.WriteString(home)
	for i, line := range append(lines, foot...) {
		if i > 0 {
			out.WriteString("\r\n")
		}
		out.WriteString(clipped(line, width))
		out.WriteString(eraseEnd)
	}
	out.WriteString(below)
	return out.String()
}

// wrapped breaks a text into at most three lines.
func wrapped(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	lines = append(lines, line)
	return lines[:min(len(lines), 3)]
}

func clipped(line string, width int) string {
	runes := []rune(line)
	return string(runes[:min(len(runes), width)])
}
