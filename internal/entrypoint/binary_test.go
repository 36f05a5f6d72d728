// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What each standby pod may cost.
const (
	mostBytes    = 8 << 20
	mostResident = 10 << 10 // kB
)

// The program is built as the image has it.
func build(t testing.TB) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "standby")
	command := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program,
		"github.com/paia-tech/hotstandbyjob/cmd/standby")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := command.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, text)
	}
	return program
}

// TestTheProgramIsSmall holds what an idle pod takes on a disk and in memory. That it takes no processor time is measured
// where there is time to wait for it.
func TestTheProgramIsSmall(t *testing.T) {
	program := build(t)
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > mostBytes {
		t.Errorf("it has %d bytes, and may have %d", info.Size(), mostBytes)
	}

	dir := t.TempDir()
	if text, err := exec.CommandContext(t.Context(), program, "install", dir).CombinedOutput(); err != nil {
		t.Fatalf("install: %v\n%s", err, text)
	}
	installed := filepath.Join(dir, "standby")
	if info, err := os.Stat(installed); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("it is installed as %v, %v", info, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("beside it there are %v, %v", left, err)
	}

	k := newKubelet(t)
	s := newServer(t, k)
	idle := exec.CommandContext(t.Context(), installed, "run", "--gateway-url", s.URL, "--launch-dir", k.dir)
	if err := idle.Start(); err != nil {
		t.Fatal(err)
	}
	<-s.attached
	if resident := resident(t, idle.Process.Pid); resident > mostResident {
		t.Errorf("%d kB are resident, and %d may be", resident, mostResident)
	}
	s.payloads <- encoded(t, launchOf("exit 6"))
	if _ = idle.Wait(); idle.ProcessState.ExitCode() != 6 {
		t.Errorf("it ended with %v", idle.ProcessState)
	}
}

// BenchmarkAttached is how long it takes from the program's start until the gateway has it attached, with TLS:
//
//	go test ./internal/entrypoint -run - -bench BenchmarkAttached
func BenchmarkAttached(b *testing.B) {
	program := build(b)
	k := newKubelet(b)
	s := newServer(b, k)
	for b.Loop() {
		idle := exec.CommandContext(b.Context(), program, "run", "--gateway-url", s.URL, "--launch-dir", k.dir)
		if err := idle.Start(); err != nil {
			b.Fatal(err)
		}
		<-s.attached
		b.StopTimer()
		if err := idle.Process.Kill(); err != nil {
			b.Fatal(err)
		}
		_ = idle.Wait() // it was killed
		b.StartTimer()
	}
}

// resident is what a process has in memory, in kB.
func resident(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		t.Fatalf("no VmRSS in %s", status)
	}
	kilobytes, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes
}

func TestReadyFailsBeforeTheWarmUp(t *testing.T) {
	program := build(t)
	dir := t.TempDir()
	ready := func() error { return exec.CommandContext(t.Context(), program, "ready", "--run-dir", dir).Run() }
	if ready() == nil {
		t.Error("it is ready before")
	}
	c := Config{RunDir: dir}
	if err := c.setReady(); err != nil {
		t.Fatal(err)
	}
	if err := ready(); err != nil {
		t.Errorf("it isn't ready after: %v", err)
	}
	if err := c.unsetReady(); err != nil {
		t.Fatal(err)
	}
	if err := c.unsetReady(); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

// BenchmarkLaunch measures one pod's way from its start to its attachment, from the payload's sending to the start of the
// command, and what it takes of the processor in a second at rest.
func BenchmarkLaunch(b *testing.B) {
	program := build(b)
	k := newKubelet(b)
	s := newServer(b, k)
	payload := encoded(b, launchOf("exec sleep 60")) // one that is over at once isn't reported
	var attached, started, busy time.Duration
	for b.Loop() {
		idle := exec.CommandContext(b.Context(), program, "run", "--gateway-url", s.URL, "--launch-dir", k.dir)
		begin := time.Now()
		if err := idle.Start(); err != nil {
			b.Fatal(err)
		}
		<-s.attached
		attached += time.Since(begin)
		time.Sleep(100 * time.Millisecond)
		before := processor(b, idle.Process.Pid)
		time.Sleep(time.Second)
		busy += processor(b, idle.Process.Pid) - before
		begin = time.Now()
		s.payloads <- payload
		r := <-s.reports
		started += time.Unix(0, r.GetStartedUnixNano()).Sub(begin)
		if err := idle.Process.Signal(syscall.SIGTERM); err != nil {
			b.Fatal(err)
		}
		_ = idle.Wait()
	}
	b.ReportMetric(float64(attached.Microseconds())/float64(b.N)/1000, "ms-to-attached")
	b.ReportMetric(float64(started.Microseconds())/float64(b.N)/1000, "ms-to-command")
	b.ReportMetric(float64(busy.Microseconds())/float64(b.N)/1000, "ms-busy-in-a-second-at-rest")
}

// processor is the time that a process's threads have run.
func processor(b *testing.B, pid int) time.Duration {
	b.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		b.Fatal(err)
	}
	var sum time.Duration
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			continue // it has ended
		}
		nanoseconds, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(nanoseconds)
	}
	return sum
}
