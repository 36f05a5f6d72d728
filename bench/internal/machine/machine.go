// SPDX-License-Identifier: Apache-2.0

// Package machine says what the benchmarks run on, what a process of it has used, and whether it is at rest.
package machine

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"github.com/prometheus/procfs"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
)

// Machine is what numbers depend on. What can't be found out is left empty: a report without it is better than none.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory uint64 `json:"memory"` // bytes
	Kernel string `json:"kernel"`
	OS     string `json:"os"`
	// Load is how many processes wanted to run, over the minute before the benchmarks began: they want none beside them.
	Load float64 `json:"load"`
}

// Describe reads what there is in a /proc.
func Describe(proc string) Machine {
	m := Machine{Cores: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH}
	fs, err := procfs.NewFS(proc)
	if err != nil {
		return m
	}
	if all, err := fs.CPUInfo(); err == nil && len(all) > 0 {
		m.CPU = all[0].ModelName
	}
	if info, err := fs.Meminfo(); err == nil {
		m.Memory = ptr.Deref(info.MemTotalBytes, 0)
	}
	if release, err := fs.SysctlStrings("kernel/osrelease"); err == nil && len(release) > 0 {
		m.Kernel = release[0]
	}
	if load, err := fs.LoadAvg(); err == nil {
		m.Load = load.Load1
	}
	return m
}

// Usage is what a process has used so far.
type Usage struct {
	// CPU is seconds of processor time, those in the kernel included.
	CPU float64
	// Resident is the bytes of memory that it has, and Peak the most that it had.
	Resident, Peak uint64
}

// UsageOf reads what a /proc says of a process.
func UsageOf(proc string, pid int) (Usage, error) {
	u, err := usageOf(proc, pid)
	if err != nil {
		return Usage{}, fmt.Errorf("look at process %d: %w", pid, err)
	}
	return u, nil
}

func usageOf(proc string, pid int) (u Usage, err error) {
	fs, err := procfs.NewFS(proc)
	if err != nil {
		return u, err
	}
	p, err := fs.Proc(pid)
	if err != nil {
		return u, err
	}
	stat, err := p.Stat()
	if err != nil {
		return u, err
	}
	status, err := p.NewStatus()
	return Usage{CPU: stat.CPUTime(), Resident: status.VmRSS, Peak: status.VmHWM}, err
}

const (
	// restTime is how long the machine must have been at rest, and idleShare which part of its processors' time.
	restTime  = 500 * time.Millisecond
	idleShare = 0.8
)

// Rest waits until the machine has been at rest for half a second: until its processors, all together, had nothing to do for
// four fifths of that. It tells whether it came to rest in time: a machine that never does is a result, too.
func Rest(ctx context.Context, c clock.Clock, proc string, patience time.Duration) (bool, error) {
	fs, err := procfs.NewFS(proc)
	if err != nil {
		return false, fmt.Errorf("wait for the machine: %w", err)
	}
	deadline := c.Now().Add(patience)
	before, err := fs.Stat()
	for err == nil && c.Now().Before(deadline) {
		timer := c.NewTimer(restTime)
		select {
		case <-ctx.Done():
			timer.Stop()
			return false, ctx.Err()
		case <-timer.C():
		}
		var after procfs.Stat
		if after, err = fs.Stat(); err == nil && idle(before.CPUTotal, after.CPUTotal) >= idleShare {
			return true, nil
		}
		before = after
	}
	if err != nil {
		return false, fmt.Errorf("wait for the machine: %w", err)
	}
	return false, nil
}

// Work is what the processors of a machine have done so far.
type Work struct {
	done procfs.CPUStat
	by   map[process]spent
}

// process is one of all that there ever were: ids are used again.
type process struct {
	id      int
	started uint64
}

// spent is the processor time of a process, in seconds.
type spent struct {
	program string
	seconds float64
}

// Kernel is what the kernel's own threads are in place of a program.
const Kernel = "kernel"

// WorkOf reads what a /proc says of all processors together, and of each process.
func WorkOf(proc string) (Work, error) {
	fs, err := procfs.NewFS(proc)
	if err != nil {
		return Work{}, fmt.Errorf("look at the processors: %w", err)
	}
	stat, err := fs.Stat()
	if err != nil {
		return Work{}, fmt.Errorf("look at the processors: %w", err)
	}
	processes, err := fs.AllProcs()
	if err != nil {
		return Work{}, fmt.Errorf("look at the processes: %w", err)
	}
	w := Work{done: stat.CPUTotal, by: map[process]spent{}}
	for _, p := range processes {
		stat, errStat := p.Stat()
		line, errLine := p.CmdLine()
		if errStat != nil || errLine != nil {
			continue // it has ended
		}
		program := Kernel
		if len(line) > 0 {
			program = filepath.Base(line[0])
		}
		w.by[process{p.PID, stat.Starttime}] = spent{program, stat.CPUTime()}
	}
	return w, nil
}

// BusySince is which part of their time since an earlier reading the processors had something to do: 1 is all of it.
func (w Work) BusySince(earlier Work) float64 { return 1 - idle(earlier.done, w.done) }

// SharesSince is which part of all processors' time each program had since an earlier reading. What ended meanwhile isn't in it.
func (w Work) SharesSince(earlier Work) map[string]float64 {
	shares := map[string]float64{}
	all := sum(w.done) - sum(earlier.done)
	for p, now := range w.by {
		if d := now.seconds - earlier.by[p].seconds; d > 0 && all > 0 {
			shares[now.program] += d / all
		}
	}
	return shares
}

// idle is the part of the time between two readings in which the processors had nothing to do.
func idle(before, after procfs.CPUStat) float64 {
	nothing := after.Idle + after.Iowait - before.Idle - before.Iowait
	all := sum(after) - sum(before)
	if all <= 0 {
		return 0
	}
	return nothing / all
}

// sum leaves out the guests' time, which is in User and Nice as well.
func sum(s procfs.CPUStat) float64 {
	return s.User + s.Nice + s.System + s.Idle + s.Iowait + s.IRQ + s.SoftIRQ + s.Steal
}
