// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/utils/clock"
)

// proc is a folder with the files of a /proc.
func proc(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		write(t, filepath.Join(dir, name), text)
	}
	return dir
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDescribe(t *testing.T) {
	got := Describe(proc(t, map[string]string{
		"cpuinfo":              "processor\t: 0\nmodel name\t: A CPU @ 2.5GHz\n\nprocessor\t: 1\nmodel name\t: A CPU @ 2.5GHz\n",
		"meminfo":              "MemTotal:       16384 kB\nMemFree:  1 kB\n",
		"sys/kernel/osrelease": "6.1.0\n",
		"loadavg":              "1.50 0.20 0.10 2/300 12345\n",
	}))
	want := Machine{Cores: runtime.NumCPU(), Memory: 16 << 20, Kernel: "6.1.0", OS: runtime.GOOS + "/" + runtime.GOARCH, Load: 1.5}
	if runtime.GOARCH == "amd64" { // others write it otherwise
		want.CPU = "A CPU @ 2.5GHz"
	} else {
		got.CPU = ""
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("machine (-want +got):\n%s", diff)
	}
	bare := Machine{Cores: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH}
	if diff := cmp.Diff(bare, Describe(filepath.Join(t.TempDir(), "none"))); diff != "" {
		t.Errorf("without /proc (-want +got):\n%s", diff)
	}
}

func TestUsageOf(t *testing.T) {
	const stat = "7 (a b) c) S 1 7 7 0 -1 4194560 9 0 0 0 250 150 0 0 20 0 1 0 100 1000 100 18446744073709551615 " +
		"1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n"
	dir := proc(t, map[string]string{"7/stat": stat, "7/status": "Name:\ta\nVmHWM:\t 30 kB\nVmRSS:\t 20 kB\n"})
	got, err := UsageOf(dir, 7)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Usage{CPU: 4, Resident: 20 << 10, Peak: 30 << 10}, got); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
	if _, err := UsageOf(dir, 8); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "process 8") {
		t.Errorf("the error for no process is %v", err)
	}
}

// The machine of the test is busy for a while: of each second of its two processors one half is work, then one tenth.
func TestRest(t *testing.T) {
	for name, tc := range map[string]struct {
		busyFor, patience time.Duration
		rests             bool
		after             time.Duration
	}{
		"at rest at once": {0, time.Minute, true, restTime},
		"after a while":   {3 * time.Second, time.Minute, true, 3*time.Second + restTime},
		"too late":        {time.Minute, 2 * time.Second, false, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			dir := proc(t, map[string]string{"stat": stat(0, 0)})
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				done := make(chan struct{})
				go func() { // between any two readings, and never beside one
					time.Sleep(restTime / 10)
					user, idle := 0, 0
					for {
						select {
						case <-done:
							return
						case <-time.After(restTime / 5):
						}
						work := 2
						if time.Since(began) <= tc.busyFor {
							work = 10
						}
						user, idle = user+work, idle+20-work
						write(t, filepath.Join(dir, "stat"), stat(user, idle))
					}
				}()
				rests, err := Rest(t.Context(), clock.RealClock{}, dir, tc.patience)
				close(done)
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); rests != tc.rests || took < tc.after || took > tc.after+restTime {
					t.Errorf("rests: %t after %s, want %t after %s", rests, took, tc.rests, tc.after)
				}
			})
		})
	}
}

func stat(user, idle int) string {
	return fmt.Sprintf("cpu  %[1]d 0 0 %[2]d 0 0 0 0 0 0\ncpu0 %[1]d 0 0 %[2]d 0 0 0 0 0 0\n", user, idle)
}

func TestHowBusyTheProcessorsWere(t *testing.T) {
	reading := func(line string) Work {
		w, err := WorkOf(proc(t, map[string]string{"stat": line + "\ncpu0 0 0 0 0 0 0 0 0 0 0\n"}))
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	before := reading("cpu  100 0 100 1000 0 0 0 0 0 0")
	for line, want := range map[string]float64{
		"cpu  130 0 130 1040 0 0 0 0 0 0":  0.6,
		"cpu  200 0 100 1000 0 0 0 0 0 0":  1,
		"cpu  100 0 100 1050 50 0 0 0 0 0": 0, // to wait for a disk is nothing to do
	} {
		if got := reading(line).BusySince(before); got < want-0.001 || got > want+0.001 {
			t.Errorf("%s: %v busy, want %v", line, got, want)
		}
	}
	if _, err := WorkOf(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a /proc: %v", err)
	}
}

func TestWhichProgramsHadTheProcessors(t *testing.T) {
	process := func(id, started, user int) string {
		return fmt.Sprintf("%d (a b) S 1 7 7 0 -1 4194560 9 0 0 0 %d 0 0 0 20 0 1 0 %d 1000 100 18446744073709551615 "+
			"1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n", id, user, started)
	}
	reading := func(line string, files map[string]string) Work {
		files["stat"] = line + "\ncpu0 0 0 0 0 0 0 0 0 0 0\n"
		w, err := WorkOf(proc(t, files))
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	before := reading("cpu  0 0 0 1000 0 0 0 0 0 0", map[string]string{
		"2/stat": process(2, 1, 100), "2/cmdline": "",
		"7/stat": process(7, 1, 500), "7/cmdline": "/bin/server\x00--flag\x00",
		"8/stat": process(8, 1, 900), "8/cmdline": "/bin/ends\x00",
	})
	after := reading("cpu  100 0 0 1000 0 0 0 0 0 0", map[string]string{
		"2/stat": process(2, 1, 110), "2/cmdline": "",
		"7/stat": process(7, 1, 540), "7/cmdline": "/bin/server\x00--flag\x00",
		"8/stat": process(8, 2, 20), "8/cmdline": "/bin/server\x00", // another process with an id that was used before
		"9/stat": process(9, 2, 0), "9/cmdline": "/bin/sleeps\x00",
		"10/stat": process(10, 2, 9), // ends while it is looked at
	})
	want := map[string]float64{Kernel: 0.1, "server": 0.6}
	if diff := cmp.Diff(want, after.SharesSince(before), cmpopts.EquateApprox(0, 0.001)); diff != "" {
		t.Errorf("shares (-want +got):\n%s", diff)
	}
}
