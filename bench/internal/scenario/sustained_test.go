// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"testing"
	"time"

	"github.com/paia-tech/hotstandbyjob/bench/internal/measure"
	"github.com/paia-tech/hotstandbyjob/bench/internal/result"
)

func TestBroken(t *testing.T) {
	run := func(slow time.Duration, cold, lost float64) *measure.Run {
		r := &measure.Run{}
		for range 99 {
			r.Took(dueToFirst, 0, time.Millisecond)
		}
		for range 2 {
			r.Took(dueToFirst, 0, slow)
		}
		r.Count(coldStarts, result.Count, cold)
		r.Count(neverBegun, result.Count, lost)
		return r
	}
	for name, tc := range map[string]struct {
		run  *measure.Run
		want string
	}{
		"carried":       {run(slowest-10*time.Millisecond, 1, 0), ""},
		"slow":          {run(2*slowest, 0, 0), "p99 is 2s"},
		"cold":          {run(0, 2, 0), "1.9 % started cold"},
		"most are cold": {run(0, 202, 0), "66.7 % started cold"},
		"lost":          {run(2*slowest, 2, 3), "3 launches were refused or never began"},
		"nothing began": {&measure.Run{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := broken([]*measure.Run{run(0, 0, 0), tc.run}); got != tc.want {
				t.Errorf("broken: %q, want %q", got, tc.want)
			}
		})
	}
}
