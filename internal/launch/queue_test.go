// SPDX-License-Identifier: Apache-2.0

package launch

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

func TestNext(t *testing.T) {
	at := time.Unix(0, 0)
	w := func(job string, minute int, priority int32, need int) waiter {
		return waiter{job: types.UID(job), rank: rank(at.Add(time.Duration(minute)*time.Minute), priority), need: need}
	}
	gang := func(w waiter) waiter { w.gang = true; return w }
	for name, tc := range map[string]struct {
		waiters []waiter
		idle    int
		want    []types.UID
	}{
		"nobody waits":                                    {nil, 3, nil},
		"nothing is idle":                                 {[]waiter{w("a", 0, 0, 1)}, 0, nil},
		"first come, first served":                        {[]waiter{w("b", 1, 0, 1), w("a", 0, 0, 1)}, 1, []types.UID{"a"}},
		"priority goes first":                             {[]waiter{w("a", 0, 0, 1), w("b", 1, 5, 1)}, 1, []types.UID{"b"}},
		"each minute of waiting is a step of priority":    {[]waiter{w("a", 0, 0, 1), w("b", 6, 5, 1)}, 1, []types.UID{"a"}},
		"a Job may start with some of its pods":           {[]waiter{w("a", 0, 0, 3), w("b", 1, 0, 1)}, 2, []types.UID{"a"}},
		"what is left goes to the next":                   {[]waiter{w("a", 0, 0, 2), w("b", 1, 0, 1)}, 3, []types.UID{"a", "b"}},
		"a gang waits for all, and those behind for it":   {[]waiter{gang(w("a", 0, 0, 3)), w("b", 1, 0, 1)}, 2, nil},
		"a gang that can start":                           {[]waiter{gang(w("a", 0, 0, 3)), w("b", 1, 0, 1)}, 4, []types.UID{"a", "b"}},
		"those before a gang don't wait for it":           {[]waiter{w("a", 0, 0, 1), gang(w("b", 1, 0, 3))}, 2, []types.UID{"a"}},
		"one that lacks nothing is passed over":           {[]waiter{w("a", 0, 0, 0), w("b", 1, 0, 1)}, 1, []types.UID{"b"}},
		"the greatest priority there is doesn't overflow": {[]waiter{w("a", 0, -1<<31, 1), w("b", 0, 1<<31-1, 1)}, 1, []types.UID{"b"}},
	} {
		t.Run(name, func(t *testing.T) {
			var queue []waiter
			for i, w := range tc.waiters {
				w.seq = uint64(i)
				queue = insert(queue, w)
			}
			if diff := cmp.Diff(tc.want, next(slices.Values(queue), tc.idle)); diff != "" {
				t.Errorf("next (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParsePriority(t *testing.T) {
	for text, want := range map[string]struct {
		priority int32
		ok       bool
	}{
		"": {0, true}, "7": {7, true}, "-3": {-3, true}, "high": {0, false}, "1.5": {0, false}, "99999999999": {0, false},
	} {
		if priority, ok := parsePriority(text); priority != want.priority || ok != want.ok {
			t.Errorf("parsePriority(%q) = %d, %v", text, priority, ok)
		}
	}
}

func drawQueue(t *rapid.T) []waiter {
	var queue []waiter
	for i := range rapid.IntRange(0, 8).Draw(t, "jobs") {
		queue = insert(queue, waiter{
			job: types.UID(rune('a' + i)), seq: uint64(i), need: rapid.IntRange(0, 4).Draw(t, "need"), gang: rapid.Bool().Draw(t, "gang"),
			rank: rank(time.Unix(int64(rapid.IntRange(0, 300).Draw(t, "since")), 0), int32(rapid.IntRange(-3, 3).Draw(t, "priority"))),
		})
	}
	return queue
}

func TestAJobIsAdmittedIfAndOnlyIfItIsWoken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		queue, idle := drawQueue(t), rapid.IntRange(0, 10).Draw(t, "idle")
		woken := next(slices.Values(queue), idle)
		for _, w := range queue {
			if w.need > 0 && admits(slices.Values(queue), w, idle) != slices.Contains(woken, w.job) {
				t.Fatalf("with %d idle, %v are woken, but %+v is admitted: %v", idle, woken, w, admits(slices.Values(queue), w, idle))
			}
		}
	})
}

func TestEverybodysTurnComes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		queue := drawQueue(t)
		if len(queue) == 0 {
			return
		}
		last := queue[len(queue)-1]
		queue[len(queue)-1].need = max(1, last.need)
		for turn := 0; ; turn++ { // each minute ten pods become idle, and somebody important comes
			if turn > 100 {
				t.Fatalf("%+v still waits: %+v", last, queue)
			}
			now := time.Unix(600, 0).Add(time.Duration(turn) * time.Minute)
			queue = insert(queue, waiter{job: types.UID(now.String()), rank: rank(now, 20), seq: uint64(100 + turn), need: 4})
			woken := next(slices.Values(queue), 10)
			if slices.Contains(woken, last.job) {
				return
			}
			queue = slices.DeleteFunc(queue, func(w waiter) bool { return slices.Contains(woken, w.job) })
		}
	})
}

// TestALongQueueIsNotReadToItsEnd: what each Job lacks is found out when it is read.
func TestALongQueueIsNotReadToItsEnd(t *testing.T) {
	read := 0
	long := func(yield func(waiter) bool) {
		for i := range uint64(1000) {
			read++
			if !yield(waiter{job: types.UID(fmt.Sprint(i)), seq: i, need: 1}) {
				return
			}
		}
	}
	last := waiter{job: "last", seq: 1000, need: 1}
	for idle := range 3 {
		read = 0
		if woken := next(long, idle); len(woken) != idle || read != idle {
			t.Errorf("with %d idle %v are woken, and %d were read", idle, woken, read)
		}
		read = 0
		if admits(long, last, idle) || read != idle {
			t.Errorf("with %d idle the last one is admitted, or not: %d were read", idle, read)
		}
	}
}
