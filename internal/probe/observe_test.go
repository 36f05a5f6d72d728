// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// observations are what Observe was called with, in words.
type observations struct {
	mu   sync.Mutex
	seen []string
}

func (o *observations) observe(mode v1alpha1.BusyProbeMode, took time.Duration, failed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, fmt.Sprintf("%s %s failed=%v", mode, took, failed))
}

func (o *observations) all() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.seen
}

func TestHowLongQuestionsTakeIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &observations{}
		p := New(Options{Exec: &commands{answer: exits(0)}, Observe: seen.observe})
		run(t, p)
		p.Set(execPool("a", v1alpha1.ExecProbe{PeriodSeconds: 60}, pods("a", 1)...))
		time.Sleep(time.Second)
		if diff := cmp.Diff([]string{"exec 0s failed=false"}, seen.all()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestAQuestionWithoutAnAnswerIsToldOfAsFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &observations{}
		p := New(Options{Exec: &commands{answer: hangs(0)}, Observe: seen.observe})
		run(t, p)
		p.Set(execPool("a", v1alpha1.ExecProbe{PeriodSeconds: 60, TimeoutSeconds: 2}, pods("a", 1)...))
		time.Sleep(3 * time.Second)
		if diff := cmp.Diff([]string{"exec 2s failed=true"}, seen.all()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestAReadingOfAHashIsToldOf(t *testing.T) {
	t.Parallel()
	s := redisServer(t)
	s.say("a-0", "idle")
	var mu sync.Mutex
	ok, failed := 0, 0
	p := New(Options{Period: often, Observe: func(mode v1alpha1.BusyProbeMode, took time.Duration, f bool) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case mode != v1alpha1.BusyByRedis || took < 0:
			t.Errorf("told of %s, %s", mode, took)
		case f:
			failed++
		default:
			ok++
		}
	}})
	run(t, p)
	p.Set(s.pool("a", pods("a", 1)...))
	eventually(t, p, "a", "a-0", usable(Idle))
	mu.Lock()
	defer mu.Unlock()
	if ok == 0 || failed > 0 {
		t.Errorf("%d readings, %d failed", ok, failed)
	}
}
