// SPDX-License-Identifier: Apache-2.0

// Package top shows what pools do, all at once.
package top

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/plugin/page"
)

// Row is a pool. What only the operator knows is absent without it.
type Row struct {
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	Idle      int32    `json:"idle"`
	Target    int32    `json:"idleTarget"`
	Busy      int32    `json:"busy"`
	Starting  int32    `json:"starting"`
	Waiting   int32    `json:"waiting"`
	Rate      *float64 `json:"launchesPerSecond,omitempty"`
	P50       *float64 `json:"p50,omitempty"`
	P99       *float64 `json:"p99,omitempty"`
	HitRatio  *float64 `json:"hitRatio,omitempty"`
	Cost      *float64 `json:"cost,omitempty"`
	Ready     string   `json:"ready"`
	Reason    string   `json:"reason,omitempty"`
}

// rows puts together what the objects and the page say. waiting is by pool, as namespace/name.
func rows(pools []v1alpha1.HotStandbyJob, waiting map[string]int32, known *page.Pools) []Row {
	by := map[string]page.Pool{}
	var price *float64
	if known != nil {
		price = known.PricePerPodHour
		for _, p := range known.Pools {
			by[p.Namespace+"/"+p.Name] = p
		}
	}
	out := make([]Row, 0, len(pools))
	for i := range pools {
		h := &pools[i]
		key := h.Namespace + "/" + h.Name
		r := Row{
			Namespace: h.Namespace, Name: h.Name, Idle: h.Status.IdleCount, Target: h.Spec.IdleTarget,
			Busy: h.Status.BusyCount, Starting: h.Status.StartingCount, Waiting: waiting[key], Ready: "Unknown",
		}
		for _, c := range h.Status.Conditions {
			if c.Type == v1alpha1.ConditionReady {
				r.Ready, r.Reason = string(c.Status), c.Reason
			}
		}
		if p, ok := by[key]; ok {
			r.Rate, r.P50, r.P99, r.HitRatio = &p.LaunchesPerSecond, p.P50, p.P99, p.HitRatio
			if price != nil {
				r.Cost = new(p.IdleSeconds / time.Hour.Seconds() * *price)
			}
		}
		out = append(out, r)
	}
	return out
}

// column is one of the table.
type column struct {
	name    string
	width   int // at least
	text    func(Row) string
	compare func(a, b Row) int // what is most interesting first
	left    bool
}

func columns() []column {
	count := func(name string, width int, of func(Row) int32) column {
		return column{
			name: name, width: width,
			text:    func(r Row) string { return strconv.Itoa(int(of(r))) },
			compare: func(a, b Row) int { return cmp.Compare(of(b), of(a)) },
		}
	}
	number := func(name string, width int, of func(Row) *float64, format func(float64) string) column {
		text := func(r Row) string {
			if of(r) == nil {
				return "-"
			}
			return format(*of(r))
		}
		return column{name: name, width: width, text: text, compare: func(a, b Row) int { return cmp.Compare(value(of(b)), value(of(a))) }}
	}
	idle := count("IDLE", 7, func(r Row) int32 { return r.Idle })
	idle.text = func(r Row) string { return fmt.Sprintf("%d/%d", r.Idle, r.Target) }
	// The greatest lack first.
	idle.compare = func(a, b Row) int { return cmp.Compare(b.Target-b.Idle, a.Target-a.Idle) }
	hits := number("HITS", 4, func(r Row) *float64 { return r.HitRatio }, func(v float64) string { return fmt.Sprintf("%.0f%%", v*100) })
	hits.compare = func(a, b Row) int { return cmp.Compare(orOne(a.HitRatio), orOne(b.HitRatio)) }
	return []column{
		{name: "NAMESPACE", left: true, text: func(r Row) string { return r.Namespace }, compare: func(a, b Row) int { return cmp.Compare(a.Namespace, b.Namespace) }},
		{name: "POOL", left: true, text: func(r Row) string { return r.Name }, compare: func(a, b Row) int { return cmp.Compare(a.Name, b.Name) }},
		idle,
		count("BUSY", 4, func(r Row) int32 { return r.Busy }),
		count("START", 5, func(r Row) int32 { return r.Starting }),
		count("WAIT", 4, func(r Row) int32 { return r.Waiting }),
		number("RATE/S", 6, func(r Row) *float64 { return r.Rate }, func(v float64) string { return fmt.Sprintf("%.1f", v) }),
		number("P50", 5, func(r Row) *float64 { return r.P50 }, duration),
		number("P99", 5, func(r Row) *float64 { return r.P99 }, duration),
		hits,
		number("COST", 6, func(r Row) *float64 { return r.Cost }, func(v float64) string { return fmt.Sprintf("%.2f", v) }),
	}
}

func value(v *float64) float64 {
	if v == nil {
		return -1
	}
	return *v
}

func orOne(v *float64) float64 {
	if v == nil {
		return 1
	}
	return *v
}

// duration is a time in at most five characters.
func duration(seconds float64) string {
	switch {
	case seconds < 0.01:
		return fmt.Sprintf("%.1fms", seconds*1000)
	case seconds < 1:
		return fmt.Sprintf("%.0fms", seconds*1000)
	case seconds < 100:
		return fmt.Sprintf("%.1fs", seconds)
	default:
		return fmt.Sprintf("%.0fm", seconds/60)
	}
}

// sortNames are what --sort-by takes, in the order of the columns.
func sortNames() (names []string) {
	for _, c := range columns() {
		names = append(names, strings.ToLower(strings.TrimSuffix(c.name, "/S")))
	}
	return names
}

// sorted puts the rows in order: by a column, then by name.
func sorted(list []Row, by string) []Row {
	all := columns()
	i := max(0, slices.Index(sortNames(), by))
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Row) int {
		return cmp.Or(all[i].compare(a, b), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// view is how the table is shown.
type view struct {
	width      int // 0: no limit
	namespaces bool
	wide       bool // with the reason
	by         string
}

// render is the table, a line each, none longer than the width.
func render(list []Row, v view) (lines []string) {
	cs := columns()
	if !v.namespaces {
		cs = cs[1:]
	}
	if v.wide {
		cs = append(cs, column{name: "READY", left: true, text: func(r Row) string { return r.Ready + " " + r.Reason }})
	}
	widths := widths(cs, list)
	fit(cs, widths, v.width)
	head := make([]string, len(cs))
	for i, c := range cs {
		head[i] = c.name
		if strings.ToLower(strings.TrimSuffix(c.name, "/S")) == v.by && len(c.name) < widths[i] {
			head[i] += "▾"
		}
	}
	lines = append(lines, joined(cs, widths, head))
	for _, r := range list {
		cells := make([]string, len(cs))
		for i, c := range cs {
			cells[i] = c.text(r)
		}
		lines = append(lines, joined(cs, widths, cells))
	}
	return lines
}

func widths(cs []column, list []Row) []int {
	out := make([]int, len(cs))
	for i, c := range cs {
		out[i] = max(c.width, len(c.name))
		for _, r := range list {
			out[i] = max(out[i], len(c.text(r)))
		}
	}
	return out
}

// fit shortens names, the longest first, until the line is short enough.
func fit(cs []column, widths []int, width int) {
	total := len(widths) - 1
	for _, w := range widths {
		total += w
	}
	const least = 4
	for ; width > 0 && total > width; total-- {
		longest := -1
		for i, c := range cs {
			if c.left && widths[i] > least && (longest < 0 || widths[i] > widths[longest]) {
				longest = i
			}
		}
		if longest < 0 {
			return
		}
		widths[longest]--
	}
}

func joined(cs []column, widths []int, cells []string) string {
	out := make([]string, len(cs))
	for i, c := range cs {
		cell := []rune(cells[i])
		if len(cell) > widths[i] {
			cell = append(cell[:widths[i]-1], '…')
		}
		pad := strings.Repeat(" ", widths[i]-len(cell))
		if out[i] = pad + string(cell); c.left {
			out[i] = string(cell) + pad
		}
	}
	return strings.TrimRight(strings.Join(out, " "), " ")
}
