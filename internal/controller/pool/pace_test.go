// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

func TestPassesOverAPoolAreAStrideApart(t *testing.T) {
	game, other := types.NamespacedName{Name: "game"}, types.NamespacedName{Name: "other"}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var p pace
	if d := p.wait(game, now); d != 0 {
		t.Errorf("the first event waits %v", d)
	}
	p.begin(game, now)
	for name, tc := range map[string]struct {
		pool  types.NamespacedName
		after time.Duration
		want  time.Duration
	}{
		"while the pass is on its way": {game, 0, stride},
		"soon after":                   {game, stride / 5, stride * 4 / 5},
		"a stride later":               {game, stride, 0},
		"much later":                   {game, time.Hour, 0},
		"another pool":                 {other, 0, 0},
		"a clock that was set back":    {game, -time.Hour, stride},
	} {
		if d := p.wait(tc.pool, now.Add(tc.after)); d != tc.want {
			t.Errorf("%s: an event waits %v, want %v", name, d, tc.want)
		}
	}
	p.forget(game)
	if d := p.wait(game, now); d != 0 {
		t.Errorf("an event of a pool that is new waits %v", d)
	}
}
