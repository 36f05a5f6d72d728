// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The helpers here look at the machine, not at what the lab believes of itself.

const upTime = 4 * time.Minute

// private gives a test a state folder of its own, so that it never meets the labs of whoever runs it.
func private(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("brings labs up and down, which takes a while")
	}
	t.Setenv(StateVariable, t.TempDir())
}

// mustUp brings a lab up and takes it down at the end of the test, keeping nothing.
func mustUp(t *testing.T, o Options) *Lab {
	t.Helper()
	t.Cleanup(func() { mustDown(t, o.Name) })
	l, err := up(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func up(t *testing.T, o Options) (*Lab, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), upTime)
	defer cancel()
	o.Progress = testLog{t}
	return Up(ctx, o)
}

// mustDown takes a lab down and holds that nothing is left of it on this machine.
func mustDown(t *testing.T, name string) {
	t.Helper()
	f, err := locate(name)
	if err != nil {
		t.Fatal(err)
	}
	s, found, err := f.load()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	if err := Down(ctx, name); err != nil {
		t.Fatal(err)
	}
	left := slices.Concat(processesOf(t, f.dir), mountsOf(t, f.dir), linksOf(t, f.dir), filesOf(t, f))
	if found && s.Real {
		left = append(left, cgroupsOf(t, s.Index)...)
	}
	for _, what := range left {
		t.Errorf("left of lab %s: %s", name, what)
	}
}

func processesOf(t *testing.T, dir string) []string {
	t.Helper()
	var left []string
	for _, file := range glob(t, "/proc/[0-9]*/environ") {
		env, err := os.ReadFile(file)
		if err == nil && bytes.Contains(env, []byte("HSJ_LAB_PROCESS_OF="+dir+"\x00")) {
			command, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
			left = append(left, fmt.Sprintf("process %s %q", file, command))
		}
	}
	return left
}

func mountsOf(t *testing.T, dir string) []string {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for line := range strings.SplitSeq(string(raw), "\n") {
		if strings.Contains(line, dir) {
			left = append(left, "mount "+line)
		}
	}
	return left
}

func linksOf(t *testing.T, dir string) []string {
	t.Helper()
	var left []string
	for _, file := range glob(t, "/sys/class/net/*/ifalias") {
		alias, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(alias), dir) {
			left = append(left, "network interface "+file)
		}
	}
	return left
}

func cgroupsOf(t *testing.T, index int) []string {
	t.Helper()
	name := fmt.Sprintf("hsjlab%d", index)
	var left []string
	for _, dir := range append(glob(t, "/sys/fs/cgroup/*/"+name), glob(t, "/sys/fs/cgroup/"+name)...) {
		left = append(left, "cgroup "+dir)
	}
	return left
}

func filesOf(t *testing.T, f folder) []string {
	t.Helper()
	var left []string
	for _, path := range []string{f.dir, f.dir + ".lock"} {
		if _, err := os.Stat(path); err == nil {
			left = append(left, "file "+path)
		}
	}
	return left
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// testLog writes what a lab says to a test's log.
type testLog struct{ t *testing.T }

func (w testLog) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}
