// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

type call struct {
	target  Target
	command []string
	at      time.Time
}

func newCall(target Target, command []string) call {
	return call{target: target, command: slices.Clone(command), at: time.Now()}
}

func exits(code int) func(context.Context, Target, []string) (int, error) {
	return func(context.Context, Target, []string) (int, error) { return code, nil }
}

// hangs answers nothing, and needs a while to notice that nobody waits any more.
func hangs(slack time.Duration) func(context.Context, Target, []string) (int, error) {
	return func(ctx context.Context, _ Target, _ []string) (int, error) {
		<-ctx.Done()
		time.Sleep(slack) // of the bubble: the executor under test is slow to end
		return 0, ctx.Err()
	}
}

func TestPeriodIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exec := &commands{answer: exits(0)}
		p := New(Options{Exec: exec})
		run(t, p)
		targets := pods("a", 20)
		p.Set(execPool("a", v1alpha1.ExecProbe{PeriodSeconds: 30}, targets...))
		began := time.Now()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		second := map[time.Time]int{}
		for _, target := range targets {
			calls := exec.of(target.UID)
			if !calls[0].at.Equal(began) {
				t.Errorf("a new target was asked %v late", calls[0].at.Sub(began))
			}
			second[calls[1].at]++
			for i := 1; i < len(calls); i++ {
				gap, least := calls[i].at.Sub(calls[i-1].at), 28500*time.Millisecond
				if i == 1 {
					least = 15 * time.Second // so that they drift apart
				}
				if gap < least || gap > 31500*time.Millisecond {
					t.Errorf("%s was asked again after %v; want 30 s, give or take 5 %%", target.Name, gap)
				}
			}
		}
		if len(second) < 10 {
			t.Errorf("20 pods were asked at %d different times in the second period; want them spread", len(second))
		}
	})
}

func TestAShorterPeriodIsTakenUpAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exec := &commands{answer: exits(0)}
		p := New(Options{Exec: exec})
		run(t, p)
		targets := pods("a", 50)
		p.Set(execPool("a", v1alpha1.ExecProbe{PeriodSeconds: 3600}, targets...))
		time.Sleep(time.Minute)
		p.Set(execPool("a", v1alpha1.ExecProbe{PeriodSeconds: 60}, targets...))
		changed := time.Now()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		for _, target := range targets {
			calls := exec.of(target.UID)
			if late := calls[1].at.Sub(changed); late > time.Minute {
				t.Errorf("%s was asked %v after the change; want within the new period", target.Name, late)
			}
			if n := len(calls); n < 10 || n > 12 {
				t.Errorf("%s was asked %d times; want once, and every minute of ten", target.Name, n)
			}
		}
	})
}

func TestWorkersBoundWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exec := &commands{answer: hangs(0)}
		p := New(Options{Exec: exec, Workers: 8})
		run(t, p)
		p.Set(execPool("a", v1alpha1.ExecProbe{TimeoutSeconds: 1, PeriodSeconds: 600}, pods("a", 1000)...))
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if exec.most != 4 {
			t.Errorf("%d under way at once for one pool; want half of the 8 workers", exec.most)
		}
		if exec.count() < 1000 {
			t.Errorf("%d of 1000 pods were asked", exec.count())
		}
	})
}

func TestAPoolThatHangsDoesNotDelayOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hanging, prompt := hangs(0), exits(0)
		exec := &commands{answer: func(ctx context.Context, target Target, command []string) (int, error) {
			if target.UID[0] == 'h' {
				return hanging(ctx, target, command)
			}
			return prompt(ctx, target, command)
		}}
		p := New(Options{Exec: exec, Workers: 8})
		run(t, p)
		for _, pool := range []string{"h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8", "h9"} {
			p.Set(execPool(pool, v1alpha1.ExecProbe{TimeoutSeconds: 300, PeriodSeconds: 1}, pods(pool, 50)...))
			synctest.Wait()
		}
		p.Set(execPool("a", v1alpha1.ExecProbe{PeriodSeconds: 10}, pods("a", 20)...))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		for _, target := range pods("a", 20) {
			if n := len(exec.of(target.UID)); n < 57 {
				t.Errorf("%s was asked %d times in ten minutes; want 60, with nine pools that hang", target.Name, n)
			}
		}
	})
}

func TestAPodIsAskedOneQuestionAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exec := &commands{answer: hangs(5 * time.Second)}
		p := New(Options{Exec: exec})
		run(t, p)
		began := time.Now()
		p.Set(execPool("a", v1alpha1.ExecProbe{Command: []string{"old"}, PeriodSeconds: 1}, pods("a", 1)...))
		time.Sleep(500 * time.Millisecond)
		p.Forget(poolName("a"))
		p.Set(execPool("a", v1alpha1.ExecProbe{Command: []string{"new"}, PeriodSeconds: 1}, pods("a", 1)...))
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if exec.mostSame != 1 {
			t.Errorf("%d commands at once in one pod", exec.mostSame)
		}
		calls := exec.of("a-0")
		if got := calls[1]; got.command[0] != "new" || got.at.Sub(began) != 6*time.Second {
			t.Errorf("second call: %v after %v; want the new command as soon as the old has returned, after 6 s",
				got.command, got.at.Sub(began))
		}
	})
}

func TestReadingsFollowTheTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var code atomic.Int64
		exec := &commands{answer: slowly(time.Millisecond, &code)}
		seen := &notices{}
		p := New(Options{Exec: exec, Notify: seen.notify})
		run(t, p)
		two := execPool("a", v1alpha1.ExecProbe{}, pods("a", 2)...)
		p.Set(two)
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		want := map[string]Signal{"a-0": Busy, "a-1": Busy}
		if diff := cmp.Diff(want, signals(p)); diff != "" {
			t.Errorf("readings (-want +got):\n%s", diff)
		}
		before, told := exec.count(), seen.of("a")
		for range 100 {
			p.Set(two)
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		if exec.count() != before || seen.of("a") != told {
			t.Error("Set with nothing new asked pods or notified")
		}
		p.Set(execPool("a", v1alpha1.ExecProbe{}, pods("a", 1)...))
		if diff := cmp.Diff(map[string]Signal{"a-0": Busy}, signals(p)); diff != "" {
			t.Errorf("readings of one target (-want +got):\n%s", diff)
		}
		code.Store(1)
		p.Set(execPool("a", v1alpha1.ExecProbe{Command: []string{"other"}}, pods("a", 1)...))
		if got, want := p.Readings(poolName("a"))["a-0"], (Reading{Last: Busy, Reason: reasonNotAsked}); got != want {
			t.Errorf("reading after the question changed: %+v, want %+v", got, want)
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		if diff := cmp.Diff(map[string]Signal{"a-0": Idle}, signals(p)); diff != "" {
			t.Errorf("readings of the other question (-want +got):\n%s", diff)
		}
		p.Set(execPool("a", v1alpha1.ExecProbe{SuccessIsBusy: new(false)}, pods("a", 1)...))
		if got, want := p.Readings(poolName("a"))["a-0"], (Reading{Reason: reasonNotAsked}); got != want {
			t.Errorf("reading after the answers' meaning changed: %+v, want %+v", got, want)
		}
		p.Forget(poolName("a"))
		if got := p.Readings(poolName("a")); got != nil {
			t.Errorf("readings after Forget: %v", got)
		}
	})
}

func TestNotifyTellsOfChangesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var code atomic.Int64
		exec := &commands{answer: func(context.Context, Target, []string) (int, error) { return int(code.Load()), nil }}
		seen := &notices{}
		var p *Prober
		p = New(Options{Exec: exec, Notify: func(pool types.NamespacedName) {
			p.Readings(pool) // would deadlock under the lock
			seen.notify(pool)
		}})
		run(t, p)
		p.Set(execPool("a", v1alpha1.ExecProbe{PeriodSeconds: 1}, pods("a", 1)...))
		p.Set(execPool("b", v1alpha1.ExecProbe{PeriodSeconds: 1}, pods("b", 1)...))
		time.Sleep(time.Minute)
		p.Forget(poolName("b"))
		code.Store(1)
		time.Sleep(time.Minute)
		synctest.Wait()
		if a, b := seen.of("a"), seen.of("b"); a != 2 || b != 1 {
			t.Errorf("notified %d and %d times; want 2 (busy, idle) and 1 (busy)", a, b)
		}
	})
}

// signals are those of pool a.
func signals(p *Prober) map[string]Signal {
	got := map[string]Signal{}
	for uid, r := range p.Readings(poolName("a")) {
		got[string(uid)] = r.Signal
	}
	return got
}
