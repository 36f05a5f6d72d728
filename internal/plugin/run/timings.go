// SPDX-License-Identifier: Apache-2.0

package run

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// timings say where the time went: what was reached when, each once.
type timings struct {
	clock clock.PassiveClock
	begin time.Time

	mu    sync.Mutex
	names []string
	times []time.Duration
}

func newTimings(c clock.PassiveClock) *timings { return &timings{clock: c, begin: c.Now()} }

// mark takes note that something was reached now.
func (t *timings) mark(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if slices.Contains(t.names, name) {
		return
	}
	t.names, t.times = append(t.names, name), append(t.times, t.clock.Since(t.begin))
}

func (t *timings) print(w io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, name := range t.names {
		_, _ = fmt.Fprintf(w, "%8.1f ms  %s\n", float64(t.times[i])/float64(time.Millisecond), name)
	}
}
