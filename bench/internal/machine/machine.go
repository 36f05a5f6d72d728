// SPDX-License-Identifier: Apache-2.0

// Package machine says what the benchmarks ran on, and what a process of it has used.
package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strconv"
	"strings"
)

// Machine is what numbers depend on. What can't be found out is left empty: a report without it is better than none.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory int64  `json:"memory"` // bytes
	Kernel string `json:"kernel"`
	OS     string `json:"os"`
	// Load is how many processes wanted to run, over the minute before the benchmarks began: they want none beside them.
	Load float64 `json:"load"`
}

// Describe reads /proc, or what stands for it.
func Describe(proc fs.FS) Machine {
	m := Machine{Cores: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH}
	m.CPU = field(read(proc, "cpuinfo"), "model name")
	m.Kernel = strings.TrimSpace(read(proc, "sys/kernel/osrelease"))
	m.Memory, _ = kibibytes(read(proc, "meminfo"), "MemTotal")
	load, _, _ := strings.Cut(read(proc, "loadavg"), " ")
	m.Load, _ = strconv.ParseFloat(load, 64)
	return m
}

// Usage is what a process has used so far.
type Usage struct {
	// CPU is seconds of processor time, those in the kernel included.
	CPU float64
	// Resident is the bytes of memory that it has, and Peak the most that it had.
	Resident, Peak int64
}

// ticks is how many of the kernel's units of processor time make a second. It has been 100 on Linux since it was
// separated from the kernel's own clock, whatever machine it is.
const ticks = 100

// UsageOf reads what /proc, or what stands for it, says of a process.
func UsageOf(proc fs.FS, pid int) (Usage, error) {
	stat, err := fs.ReadFile(proc, fmt.Sprintf("%d/stat", pid))
	if err != nil {
		return Usage{}, fmt.Errorf("look at process %d: %w", pid, err)
	}
	var u Usage
	if u.CPU, err = cpuSeconds(string(stat)); err != nil {
		return Usage{}, fmt.Errorf("look at process %d: %w", pid, err)
	}
	status := read(proc, fmt.Sprintf("%d/status", pid))
	var faults [2]error
	u.Resident, faults[0] = kibibytes(status, "VmRSS")
	u.Peak, faults[1] = kibibytes(status, "VmHWM")
	if err := errors.Join(faults[:]...); err != nil {
		return Usage{}, fmt.Errorf("look at process %d: %w", pid, err)
	}
	return u, nil
}

// cpuSeconds adds up utime and stime, the 14th and 15th field. The second is the program's name in parentheses, and may
// have anything in it.
func cpuSeconds(stat string) (float64, error) {
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	const utime, stime = 11, 12
	if len(fields) <= stime {
		return 0, fmt.Errorf("it has no processor time: %q", stat)
	}
	var sum int64
	for _, text := range fields[utime : stime+1] {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read its processor time: %w", err)
		}
		sum += n
	}
	return float64(sum) / ticks, nil
}

// kibibytes reads a line such as "VmRSS:  12 kB", as bytes.
func kibibytes(text, name string) (int64, error) {
	number, _ := strings.CutSuffix(field(text, name), " kB")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", name, err)
	}
	return n << 10, nil
}

// field is what follows a name and a colon on the first line with it.
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func read(proc fs.FS, name string) string {
	text, err := fs.ReadFile(proc, name)
	if err != nil {
		return ""
	}
	return string(text)
}
