// SPDX-License-Identifier: Apache-2.0

package view

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/demo/internal/track"
)

// model is a demo of three pools after a minute.
func model() *Model {
	m := &Model{Title: "Title", Steps: []string{"one", "two"}, Expected: 80 * time.Second}
	m.Chapter = Chapter{Step: 1, Text: strings.Repeat("word ", 40), Progress: "1 of 2."}
	for second := range 60 {
		var pools []track.Pool
		for i := range 3 {
			pools = append(pools, track.Pool{
				Name: types.NamespacedName{Name: fmt.Sprintf("pool-%d", i)}, Target: 20,
				Idle: second % 21, Busy: second / 6, Starting: i, Waits: []time.Duration{1}, LastWait: 7 * time.Millisecond,
			})
		}
		m.Add(pools, time.Duration(second)*time.Second)
	}
	return m
}

func TestFrameFitsTheScreen(t *testing.T) {
	for _, size := range []Size{{79, 23}, {119, 39}, {159, 60}, {40, 10}, {20, 3}, {79, 15}} {
		for _, colour := range []bool{true, false} {
			frame := model().Frame(size, colour)
			if len(frame) > size.Height {
				t.Errorf("%v: %d lines", size, len(frame))
			}
			for _, l := range frame {
				if l.Width() > size.Width {
					t.Errorf("%v: line of %d columns: %q", size, l.Width(), l.Plain())
				}
			}
		}
	}
}

func TestFrameHasChartsOnAnOrdinaryScreen(t *testing.T) {
	frame := model().Frame(Size{79, 23}, true)
	if len(frame) != 23 {
		t.Errorf("%d lines, want all 23", len(frame))
	}
	if got := frame[6].Plain(); got != "  pool-0            20    17     9         0         0        7.0 ms" {
		t.Errorf("table line is %q", got)
	}
}

func TestChartCell(t *testing.T) {
	c := chart{most: 4, height: 1, colour: true}
	for title, tc := range map[string]struct {
		sample Sample
		want   Span
	}{
		"nothing":        {Sample{}, Span{Text: " "}},
		"all idle":       {Sample{Idle: 4}, Span{Text: "█", FG: Green}},
		"half idle":      {Sample{Idle: 2}, Span{Text: "▄", FG: Green}},
		"idle and busy":  {Sample{Idle: 1, Busy: 3}, Span{Text: "▂", FG: Green, BG: Yellow}},
		"busy and empty": {Sample{Busy: 1}, Span{Text: "▂", FG: Yellow}},
		"three colours":  {Sample{Idle: 2, Busy: 1, Starting: 1}, Span{Text: "▅", FG: Green, BG: Yellow}},
	} {
		t.Run(title, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, c.cell(tc.sample, 0)); diff != "" {
				t.Errorf("cell (-want +got):\n%s", diff)
			}
		})
	}
	c.colour = false
	if got := c.cell(Sample{Idle: 1, Busy: 3}, 0); got != (Span{Text: "▒"}) {
		t.Errorf("without colours: %+v", got)
	}
}

func TestChartGrowsWithTime(t *testing.T) {
	c := chart{
		samples: []Sample{{At: 0, Idle: 1}, {At: 5 * time.Second, Idle: 1}}, span: 10 * time.Second,
		most: 1, width: axisWidth + 10, height: 1, colour: true,
	}
	if got, want := c.lines()[0].Plain(), "   1┤██████"; got != want {
		t.Errorf("line is %q, want %q", got, want)
	}
}

func TestANSI(t *testing.T) {
	l := Line{{Text: "a"}, {Text: "b", FG: Green, BG: Yellow, Bold: true}}
	if got, want := l.ANSI(), "a\x1b[1;32;43mb\x1b[0m"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := l.Plain(); got != "ab" {
		t.Errorf("plain %q", got)
	}
}

func TestWithoutTerminalOnlyPlainLinesAreWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	terminal := NewTerminal(file, func(string) string { return "" })
	m := model()
	for second := range 5 {
		m.Elapsed = time.Duration(second) * time.Second
		terminal.Show(m)
	}
	terminal.Say(Line{{Text: "done", FG: Green}})
	terminal.Leave()
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), "\x1b") {
		t.Errorf("there are control codes in %q", raw)
	}
	if n := strings.Count(string(raw), "pool-0 17 idle, 9 busy, 0 starting"); n != 3 {
		t.Errorf("%d lines of status in 5 seconds, want one every two:\n%s", n, raw)
	}
}

func TestRecording(t *testing.T) {
	r := &Recorder{}
	m := model()
	m.Title = "<Title> & more"
	for range 3 {
		r.Show(m)
	}
	r.Last([]Line{Text("the end")})
	path := filepath.Join(t.TempDir(), "img", "demo.svg")
	if err := r.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) > 200_000 {
		t.Errorf("the file has %d bytes", len(raw))
	}
	groups, text := 0, ""
	for decoder := xml.NewDecoder(strings.NewReader(string(raw))); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not XML: %v", err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if e.Name.Local == "g" {
				groups++
			}
		case xml.CharData:
			text += string(e) + "\n"
		}
	}
	if groups != pictures+1 {
		t.Errorf("%d pictures, want %d", groups, pictures+1)
	}
	for _, want := range []string{"<Title> & more", "pool-2", "the end"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in it", want)
		}
	}
}

func TestTimes(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0 ms", 1234 * time.Microsecond: "1.2 ms", 9949 * time.Microsecond: "9.9 ms",
		12600 * time.Microsecond: "13 ms", 2 * time.Second: "2000 ms",
	} {
		if got := Milliseconds(d); got != want {
			t.Errorf("Milliseconds(%s) is %q, want %q", d, got, want)
		}
	}
	if got := Clock(75 * time.Second); got != "1:15" {
		t.Errorf("Clock is %q", got)
	}
}
