// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

func TestPassesOverAPoolAreAStrideApartInABurst(t *testing.T) {
	game, other := types.NamespacedName{Name: "game"}, types.NamespacedName{Name: "other"}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var p pace
	for i := range passesAtOnce {
		if d := p.wait(game, now); d != 0 {
			t.Errorf("event %d after a quiet time waits %v", i+1, d)
		}
		p.begin(game, now)
	}
	for _, tc := range []struct {
		name  string
		pool  types.NamespacedName
		after time.Duration
		want  time.Duration
	}{
		{"at once", game, 0, stride},
		{"soon after", game, stride / 5, stride * 4 / 5},
		{"a stride later", game, stride, 0},
		{"another pool", other, 0, 0},
		{"much later", game, time.Hour, 0},
	} {
		// Both are computed by fractions of a token.
		if d := p.wait(tc.pool, now.Add(tc.after)); (d - tc.want).Abs() > time.Microsecond {
			t.Errorf("%s: an event waits %v, want %v", tc.name, d, tc.want)
		}
	}
	p.forget(game)
	if d := p.wait(game, now); d != 0 {
		t.Errorf("an event of a pool that is new waits %v", d)
	}
}
