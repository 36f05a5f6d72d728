// SPDX-License-Identifier: Apache-2.0

package launch

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestStatusesWaitForEachOther(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const gap = statusGap
	for _, tc := range []struct {
		name  string
		every time.Duration // between one Job and the next
		n     int
		want  []time.Duration // of the last three
	}{
		{"one", 0, 1, []time.Duration{statusDelay}},
		{"few of them", gap, 50, []time.Duration{statusDelay, statusDelay, statusDelay}},
		{"a small burst", 0, 10, []time.Duration{statusDelay + 7*gap, statusDelay + 8*gap, statusDelay + 9*gap}},
		{"a large burst", 0, 3000, []time.Duration{mostStatusDelay, mostStatusDelay, mostStatusDelay}},
		{"more than there is room for", gap / 2, 500, []time.Duration{mostStatusDelay, mostStatusDelay, mostStatusDelay}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var p statusPace
			var got []time.Duration
			now := start
			for range tc.n {
				got = append(got, p.next(now))
				now = now.Add(tc.every)
			}
			if diff := cmp.Diff(tc.want, got[max(0, len(got)-3):]); diff != "" {
				t.Errorf("the last wait (-want +got):\n%s", diff)
			}
			// Whatever came before, soon nothing is left of it.
			if wait := p.next(now.Add(mostStatusDelay)); wait != statusDelay {
				t.Errorf("%s later one waits %s, want %s", mostStatusDelay, wait, statusDelay)
			}
		})
	}
}
