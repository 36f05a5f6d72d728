// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// slowly exits with what the code is when the command starts, after a time.
func slowly(after time.Duration, code *atomic.Int64) func(context.Context, Target, []string) (int, error) {
	return func(ctx context.Context, _ Target, _ []string) (int, error) {
		now := code.Load()
		select {
		case <-time.After(after):
			return int(now), nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func TestRecheckAsksAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var code atomic.Int64
		code.Store(1)
		exec := &commands{answer: slowly(time.Second, &code)}
		p := New(Options{Exec: exec})
		run(t, p)
		targets := pods("a", 3)
		p.Set(execPool("a", v1alpha1.ExecProbe{TimeoutSeconds: 5, PeriodSeconds: 3600}, targets...))
		time.Sleep(500 * time.Millisecond)
		code.Store(0) // the answers under way will say idle: they aren't good enough
		began := time.Now()
		got := p.Recheck(t.Context(), poolName("a"), targets[:2])
		busy := Reading{Signal: Busy, Last: Busy}
		if diff := cmp.Diff(map[types.UID]Reading{"a-0": busy, "a-1": busy}, got); diff != "" {
			t.Errorf("rechecked (-want +got):\n%s", diff)
		}
		if took := time.Since(began); took != 1500*time.Millisecond {
			t.Errorf("took %v; want the rest of the command under way and one of its own", took)
		}
		want := map[string]Signal{"a-0": Busy, "a-1": Busy, "a-2": Idle}
		if diff := cmp.Diff(want, signals(p)); diff != "" {
			t.Errorf("readings (-want +got):\n%s", diff)
		}
		if exec.mostSame != 1 || exec.count() != 5 {
			t.Errorf("%d commands, %d at once in one pod; want 5 and 1", exec.count(), exec.mostSame)
		}
	})
}

func TestRecheckGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var code atomic.Int64
		exec := &commands{answer: slowly(time.Second, &code)}
		p := New(Options{Exec: exec, Workers: 4})
		run(t, p)
		targets := pods("a", 500)
		p.Set(execPool("a", v1alpha1.ExecProbe{TimeoutSeconds: 5, PeriodSeconds: 3600}, targets...))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		began := time.Now()
		p.Recheck(t.Context(), poolName("a"), targets[498:])
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("took %v; want not to wait for the hundreds that are due", took)
		}
	})
}

func TestRecheckWithoutAnAnswerIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exec := &commands{answer: exits(0)}
		p := New(Options{Exec: exec})
		target := pods("a", 1)
		if got := p.Recheck(t.Context(), poolName("a"), target)["a-0"]; got != (Reading{Reason: reasonNotRunning}) {
			t.Errorf("before Start: %+v", got)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- p.Start(ctx) }()
		synctest.Wait()
		if got := p.Recheck(t.Context(), poolName("a"), target)["a-0"]; got != (Reading{Reason: reasonNotTarget}) {
			t.Errorf("of a pool that isn't declared: %+v", got)
		}
		p.Set(execPool("a", v1alpha1.ExecProbe{TimeoutSeconds: 60}, target...))
		synctest.Wait()
		if got := p.Recheck(t.Context(), poolName("a"), pods("b", 1))["b-0"]; got != (Reading{Reason: reasonNotTarget}) {
			t.Errorf("of a pod that isn't declared: %+v", got)
		}
		exec.answerBy(hangs(0))
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		want := Reading{Last: Busy, Reason: reasonNoAnswer}
		if got := p.Recheck(short, poolName("a"), target)["a-0"]; got != want {
			t.Errorf("of a pod that hangs: %+v, want %+v", got, want)
		}
		rechecked := make(chan Reading)
		for _, end := range []func(){func() { p.Forget(poolName("a")) }, stop} {
			p.Set(execPool("a", v1alpha1.ExecProbe{TimeoutSeconds: 60}, target...))
			go func() { rechecked <- p.Recheck(t.Context(), poolName("a"), target)["a-0"] }()
			synctest.Wait()
			end()
			if got := <-rechecked; got.Signal != Unknown || got.Reason == "" {
				t.Errorf("interrupted: %+v; want unknown with a reason", got)
			}
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestStartEndsWhatItStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exec := &commands{answer: hangs(3 * time.Second)}
		p := New(Options{Exec: exec})
		p.Set(execPool("a", v1alpha1.ExecProbe{TimeoutSeconds: 60}, pods("a", 10)...))
		for range 2 { // it can be started again
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- p.Start(ctx) }()
			time.Sleep(time.Second)
			if err := p.Start(ctx); err == nil {
				t.Error("a second Start beside the first: no error")
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if exec.total != 0 {
				t.Errorf("%d commands outlive Start", exec.total)
			}
			if got := p.Readings(poolName("a"))["a-0"]; got != (Reading{Reason: reasonNotAsked}) {
				t.Errorf("reading %+v: an end isn't an answer", got)
			}
		}
		if exec.count() != 20 {
			t.Errorf("%d commands; want all ten pods asked by each run", exec.count())
		}
	})
}
