// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"errors"
	"io/fs"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func TestDescribe(t *testing.T) {
	got := Describe(fstest.MapFS{
		"cpuinfo":              file("processor\t: 0\nmodel name\t: A CPU @ 2.5GHz\n\nprocessor\t: 1\nmodel name\t: A CPU @ 2.5GHz\n"),
		"meminfo":              file("MemTotal:       16384 kB\nMemFree:  1 kB\n"),
		"sys/kernel/osrelease": file("6.1.0\n"),
		"loadavg":              file("1.50 0.20 0.10 2/300 12345\n"),
	})
	want := Machine{
		CPU: "A CPU @ 2.5GHz", Cores: runtime.NumCPU(), Memory: 16 << 20, Kernel: "6.1.0", OS: runtime.GOOS + "/" + runtime.GOARCH, Load: 1.5,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("machine (-want +got):\n%s", diff)
	}
	bare := Machine{Cores: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH}
	if diff := cmp.Diff(bare, Describe(fstest.MapFS{})); diff != "" {
		t.Errorf("without /proc (-want +got):\n%s", diff)
	}
}

func TestUsageOf(t *testing.T) {
	// A program may be called anything, also what looks like the fields that follow.
	const stat = "7 (a b) c) S 1 7 7 0 -1 4194560 9 0 0 0 250 150 0 0 20 0 1 0 100 1000 100 18446744073709551615"
	got, err := UsageOf(fstest.MapFS{"7/stat": file(stat), "7/status": file("Name:\ta\nVmHWM:\t 30 kB\nVmRSS:\t 20 kB\n")}, 7)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Usage{CPU: 4, Resident: 20 << 10, Peak: 30 << 10}, got); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
}

func TestUsageOfNoProcess(t *testing.T) {
	if _, err := UsageOf(fstest.MapFS{}, 7); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "process 7") {
		t.Errorf("the error is %v", err)
	}
	for name, stat := range map[string]string{"cut off": "7 (a) S 1", "no number": "7 (a) S 1 7 7 0 -1 4 9 0 0 0 x 1 0"} {
		if _, err := UsageOf(fstest.MapFS{"7/stat": file(stat)}, 7); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	// One that has ended and isn't reaped has no memory.
	if _, err := UsageOf(fstest.MapFS{"7/stat": file("7 (a) Z 1 7 7 0 -1 4 9 0 0 0 1 1 0"), "7/status": file("Name:\ta\n")}, 7); err == nil {
		t.Error("a process without memory is no error")
	}
}
