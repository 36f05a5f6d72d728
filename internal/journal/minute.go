// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

func newMinute(begin time.Time) Minute {
	return Minute{Begin: begin, Starts: map[Start]int{}, Reasons: map[string]int{}, Latencies: make([]int, len(Bounds)+1)}
}

func (m Minute) clone() Minute {
	m.Starts, m.Reasons, m.Latencies = maps.Clone(m.Starts), maps.Clone(m.Reasons), slices.Clone(m.Latencies)
	return m
}

// poolOf returns what is remembered of a pool, from now on also if there was nothing; j.mu is held.
func (j *Journal) poolOf(name types.NamespacedName) *pool {
	p, ok := j.pools[name]
	if !ok {
		p = &pool{}
		j.pools[name] = p
	}
	return p
}

// minute returns the current minute, after those that have passed since the one before.
func (p *pool) minute(now time.Time) *Minute {
	begin := now.Truncate(time.Minute)
	if n := len(p.minutes); n == 0 || begin.Sub(p.minutes[n-1].Begin) >= minutes*time.Minute {
		p.minutes = []Minute{newMinute(begin)}
	}
	for last := p.minutes[len(p.minutes)-1].Begin; last.Before(begin); {
		last = last.Add(time.Minute)
		p.minutes = append(p.minutes, newMinute(last))
	}
	if n := len(p.minutes); n > minutes {
		p.minutes = slices.Delete(p.minutes, 0, n-minutes)
	}
	return &p.minutes[len(p.minutes)-1]
}
