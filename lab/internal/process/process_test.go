// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onsi/gomega"
)

func newGroup(t *testing.T) Group {
	t.Helper()
	dir := t.TempDir()
	g := Group{Run: filepath.Join(dir, "run"), Logs: filepath.Join(dir, "logs"), Mark: dir}
	t.Cleanup(func() {
		// The test's context has ended by now.
		if err := g.Sweep(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("sweep: %v", err)
		}
	})
	return g
}

func start(t *testing.T, g Group, name, script string) int {
	t.Helper()
	pid, err := g.Start(t.Context(), Spec{Name: name, Path: "/bin/sh", Args: []string{"-c", script}})
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func isRunning(pid int) bool {
	_, ended, err := inspect(pid)
	return err == nil && !ended
}

func TestStartRunsADetachedProcessOnce(t *testing.T) {
	g := newGroup(t)
	pid := start(t, g, "a", "echo hello; exec sleep 300")
	if again := start(t, g, "a", "exec sleep 300"); again != pid {
		t.Errorf("a second start made process %d beside %d", again, pid)
	}
	session, _, errno := syscall.Syscall(syscall.SYS_GETSID, uintptr(pid), 0, 0)
	if errno != 0 || int(session) != pid {
		t.Errorf("session of process %d is %d (%v), want its own: a signal from the terminal would end it", pid, session, errno)
	}
	gomega.NewWithT(t).Eventually(func() string { return g.Tail("a", 5) }).Should(gomega.Equal("hello"))
}

func TestStop(t *testing.T) {
	for name, tc := range map[string]struct {
		script   string
		grace    time.Duration
		wantLast string
	}{
		"a process that heeds SIGTERM ends by itself": {"trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done", 20 * time.Second, "bye"},
		"one that ignores it is killed":               {"trap '' TERM; echo up; while :; do sleep 0.05; done", 100 * time.Millisecond, "up"},
		"no grace kills at once":                      {"trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done", 0, "up"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGroup(t)
			pid := start(t, g, "a", tc.script)
			gomega.NewWithT(t).Eventually(func() string { return g.Tail("a", 1) }).Should(gomega.Equal("up"))
			if err := g.Stop(t.Context(), tc.grace, "a"); err != nil {
				t.Fatal(err)
			}
			if isRunning(pid) {
				t.Error("the process still runs")
			}
			if last := g.Tail("a", 1); last != tc.wantLast {
				t.Errorf("its last words are %q, want %q", last, tc.wantLast)
			}
			if names, err := g.Names(); err != nil || len(names) != 0 {
				t.Errorf("pid files left: %v %v", names, err)
			}
		})
	}
}

func TestStopOfWhatDoesNotRunIsNoError(t *testing.T) {
	g := newGroup(t)
	if err := g.Stop(t.Context(), 0, "never"); err != nil {
		t.Error(err)
	}
}

func TestKilledProcessIsNotRunningAndStartsAgain(t *testing.T) {
	g := newGroup(t)
	pid := start(t, g, "a", "exec sleep 300")
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// Nobody reaps it: it stays a zombie for as long as this test runs, and counts as ended all the same.
	gomega.NewWithT(t).Eventually(func() bool { _, ok := g.Running("a"); return ok }).Should(gomega.BeFalse())
	if again := start(t, g, "a", "exec sleep 300"); again == pid || !isRunning(again) {
		t.Errorf("process %d after %d does not run", again, pid)
	}
}

func TestStalePidFileNeverSignalsAStranger(t *testing.T) {
	g := newGroup(t)
	stranger := exec.CommandContext(t.Context(), "sleep", "300")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stranger.Wait() })
	pid := start(t, g, "a", "exec sleep 300")
	if err := g.Stop(t.Context(), 0, "a"); err != nil {
		t.Fatal(err)
	}
	// The pid file of a process whose number somebody else has by now.
	start, _, err := inspect(stranger.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	stale := record{PID: stranger.Process.Pid, StartTime: start + "0", Command: []string{strconv.Itoa(pid)}}
	if err := g.write("a", stale); err != nil {
		t.Fatal(err)
	}
	if _, ok := g.Running("a"); ok {
		t.Error("a stranger counts as the daemon")
	}
	if err := g.Stop(t.Context(), 0, "a"); err != nil {
		t.Fatal(err)
	}
	if !isRunning(stranger.Process.Pid) {
		t.Error("a stranger was killed")
	}
}

func TestSweepFindsWhatHasNoPidFile(t *testing.T) {
	g := newGroup(t)
	pid := start(t, g, "a", "sleep 301 & exec sleep 300")
	orphan := start(t, g, "b", "exec sleep 300")
	if err := os.Remove(g.file("b")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(g.file("c"), []byte("not JSON"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := Group{Run: t.TempDir(), Logs: t.TempDir(), Mark: g.Mark + "-other"}
	neighbour := start(t, other, "a", "exec sleep 300")
	t.Cleanup(func() { _ = other.Sweep(context.WithoutCancel(t.Context())) })

	if err := g.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if isRunning(pid) || isRunning(orphan) {
		t.Error("a process of the group still runs")
	}
	left, err := marked(g.markEntry())
	if err != nil || len(left) != 0 {
		t.Errorf("marked processes left: %v %v", left, err)
	}
	if !isRunning(neighbour) {
		t.Error("a process of another group was killed")
	}
}

func TestStartSaysWhatIsMissing(t *testing.T) {
	g := newGroup(t)
	_, err := g.Start(t.Context(), Spec{Name: "a", Path: filepath.Join(t.TempDir(), "nothing")})
	if err == nil || !strings.Contains(err.Error(), "start a") {
		t.Errorf("error is %v, want one that names the process", err)
	}
}

func TestEnvironmentHasNoProxy(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("no_proxy", "x")
	for _, kv := range newGroup(t).environ() {
		if strings.Contains(strings.ToLower(kv), "_proxy=") {
			t.Errorf("%s reaches the daemons of a lab", kv)
		}
	}
}
