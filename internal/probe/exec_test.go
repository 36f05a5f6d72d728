// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

func TestExecReadings(t *testing.T) {
	forbidden := apierrors.NewForbidden(corev1.Resource("pods"), "a-0", errors.New("no"))
	inverted := v1alpha1.ExecProbe{SuccessIsBusy: new(false)}
	for name, tc := range map[string]struct {
		probe      v1alpha1.ExecProbe
		answer     func(context.Context, Target, []string) (int, error)
		want       Signal
		wantReason string
	}{
		"exit code 0 is busy":                           {answer: exits(0), want: Busy},
		"another exit code is idle":                     {answer: exits(1), want: Idle},
		"inverted, exit code 0 is idle (defect 13)":     {probe: inverted, answer: exits(0), want: Idle},
		"inverted, another exit code is busy":           {probe: inverted, answer: exits(137), want: Busy},
		"no answer is unknown":                          {answer: hangs(0), wantReason: "didn't end within 1s"},
		"inverted, no answer is unknown too":            {probe: inverted, answer: hangs(0), wantReason: "didn't end within 1s"},
		"timeoutSeconds 0 isn't for ever (defect 14)":   {probe: v1alpha1.ExecProbe{TimeoutSeconds: 0}, answer: hangs(0), wantReason: "within 1s"},
		"timeoutSeconds counts":                         {probe: v1alpha1.ExecProbe{TimeoutSeconds: 3}, answer: hangs(0), wantReason: "within 3s"},
		"an error is unknown (defects 11, 15 and 16)":   {answer: fails(errors.New("boom")), wantReason: "boom"},
		"inverted, an error is unknown too (defect 16)": {probe: inverted, answer: fails(errors.New("boom")), wantReason: "boom"},
		"403 names the remedy":                          {answer: fails(forbidden), wantReason: "install config/components/exec"},
		"container IDs don't change the reason": {
			answer:     fails(errors.New("no task 8f14e45fceea167a5a36dedd4bea2543 here")),
			wantReason: "no task … here",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := New(Options{Exec: &commands{answer: tc.answer}})
				run(t, p)
				p.Set(execPool("a", tc.probe, pods("a", 1)...))
				time.Sleep(5 * time.Second)
				synctest.Wait()
				got := p.Readings(poolName("a"))["a-0"]
				if got.Signal != tc.want || got.Last != tc.want || !strings.Contains(got.Reason, tc.wantReason) {
					t.Errorf("reading %+v; want signal %d and a reason with %q", got, tc.want, tc.wantReason)
				}
				if tc.want != Unknown && got.Reason != "" {
					t.Errorf("reason %q of a usable signal", got.Reason)
				}
			})
		})
	}
}

func fails(err error) func(context.Context, Target, []string) (int, error) {
	return func(context.Context, Target, []string) (int, error) { return 0, err }
}

func TestExecWithoutPermissionIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{})
		run(t, p)
		p.Set(execPool("a", v1alpha1.ExecProbe{}, pods("a", 1)...))
		synctest.Wait()
		if got := p.Readings(poolName("a"))["a-0"]; got.Signal != Unknown || !strings.Contains(got.Reason, execRemedy) {
			t.Errorf("reading %+v; want unknown, with the remedy", got)
		}
	})
}

func TestTheLastSignalSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exec := &commands{}
		p := New(Options{Exec: exec})
		run(t, p)
		target, boom := pods("a", 1)[0], errors.New("boom")
		exec.answerBy(fails(boom))
		p.Set(execPool("a", v1alpha1.ExecProbe{PeriodSeconds: 10}, target))
		synctest.Wait()
		for i, step := range []struct {
			answer func(context.Context, Target, []string) (int, error)
			want   Reading
		}{
			{fails(boom), Reading{Reason: "exec: boom"}},
			{exits(0), Reading{Signal: Busy, Last: Busy}},
			{fails(boom), Reading{Last: Busy, Reason: "exec: boom"}},
			{hangs(0), Reading{Last: Busy, Reason: "exec: the command didn't end within 1s"}},
			{exits(1), Reading{Signal: Idle, Last: Idle}},
			{fails(boom), Reading{Last: Idle, Reason: "exec: boom"}},
		} {
			exec.answerBy(step.answer)
			p.Recheck(t.Context(), poolName("a"), []Target{target})
			if diff := cmp.Diff(step.want, p.Readings(poolName("a"))[target.UID]); diff != "" {
				t.Errorf("step %d, reading (-want +got):\n%s", i, diff)
			}
		}
		exec.answerBy(hangs(0)) // the clock stands still until it is asked for: no answer comes between Set and Readings
		moved := target
		moved.IP = "127.0.0.2"
		p.Set(execPool("a", v1alpha1.ExecProbe{PeriodSeconds: 10}, moved))
		want := Reading{Last: Idle, Reason: reasonNotAsked}
		if diff := cmp.Diff(want, p.Readings(poolName("a"))[target.UID]); diff != "" {
			t.Errorf("reading of a pod with another address (-want +got):\n%s", diff)
		}
	})
}

// Defect 14: on a timeout the command goes on in the pod, and adds up.
func TestCommandsThatHangDoNotAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exec := &commands{answer: hangs(0)}
		p := New(Options{Exec: exec})
		run(t, p)
		p.Set(execPool("a", v1alpha1.ExecProbe{}, pods("a", 1)...))
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := exec.count(); n < 12 || n > 18 {
			t.Errorf("%d commands were left to themselves in an hour; want one every five minutes in the end", n)
		}
		exec.answerBy(exits(0))
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		if got := p.Readings(poolName("a"))["a-0"]; got != usable(Busy) {
			t.Errorf("reading after they end again: %+v", got)
		}
		before := exec.count()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := exec.count() - before; n < 5 {
			t.Errorf("%d commands in the next minute; want the pod's period again", n)
		}
	})
}

func TestMoreTimeForACommandIsTriedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exec := &commands{answer: hangs(0)}
		p := New(Options{Exec: exec})
		run(t, p)
		p.Set(execPool("a", v1alpha1.ExecProbe{PeriodSeconds: 10}, pods("a", 1)...))
		time.Sleep(time.Hour)
		exec.answerBy(exits(0))
		p.Set(execPool("a", v1alpha1.ExecProbe{PeriodSeconds: 10, TimeoutSeconds: 5}, pods("a", 1)...))
		time.Sleep(12 * time.Second)
		synctest.Wait()
		if got := p.Readings(poolName("a"))["a-0"]; got != usable(Busy) {
			t.Errorf("reading a period after it was given more time: %+v", got)
		}
	})
}

func TestExecUsesTheTargetsContainer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exec := &commands{answer: exits(0)}
		p := New(Options{Exec: exec})
		run(t, p)
		named, unnamed := pods("named", 1)[0], pods("unnamed", 1)[0]
		named.Container = "game"
		p.Set(execPool("a", v1alpha1.ExecProbe{Container: new("side")}, named, unnamed))
		synctest.Wait()
		got := []string{exec.of(named.UID)[0].target.Container, exec.of(unnamed.UID)[0].target.Container}
		if diff := cmp.Diff([]string{"game", "side"}, got); diff != "" {
			t.Errorf("containers (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"cat", "/tmp/healthy"}, exec.of(named.UID)[0].command); diff != "" {
			t.Errorf("default command (-want +got):\n%s", diff)
		}
	})
}
