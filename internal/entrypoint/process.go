// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// processes starts commands, and reaps them and all orphans that become its children. No other part of the program may
// wait for a process, and none may start one through os/exec: each would take the other's exit codes.
type processes struct {
	mu sync.Mutex // held from before a process is forked until its number is known, so that it isn't reaped as a stranger
	// ends has, for each command that runs, where its end is told.
	ends map[int]chan<- syscall.WaitStatus
}

// child is a command that was started.
type child struct {
	pid  int
	done <-chan syscall.WaitStatus
}

// newProcesses reaps until the context ends.
func newProcesses(ctx context.Context) (*processes, error) {
	// Where the pod's containers share their process namespace, another process is its init, and would get the orphans.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become the parent of orphans: %w", err)
	}
	p := &processes{ends: map[int]chan<- syscall.WaitStatus{}}
	ended := make(chan os.Signal, 1) // one is enough: each pass reaps all
	signal.Notify(ended, syscall.SIGCHLD)
	go func() {
		defer signal.Stop(ended)
		for {
			select {
			case <-ended:
				p.reap()
			case <-ctx.Done():
				return
			}
		}
	}()
	return p, nil
}

// reap takes the exit codes of all processes that have ended.
func (p *processes) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if end, ok := p.ends[pid]; ok {
			end <- status
			delete(p.ends, pid)
		}
	}
}

// start runs a command with this program's stdout and stderr, and nothing to read. The command leads a session of its
// own, as the first process of a container does: a signal that it sends to its process group doesn't come back through us.
func (p *processes) start(c command) (child, error) {
	path, err := c.prepare()
	if err != nil {
		return child{}, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return child{}, &exitError{exitNotExecutable, fmt.Errorf("stdin: %w", err)}
	}
	defer func() { _ = null.Close() }()

	p.mu.Lock()
	defer p.mu.Unlock()
	pid, err := syscall.ForkExec(path, c.argv, &syscall.ProcAttr{
		Dir:   c.dir,
		Env:   c.env,
		Files: []uintptr{null.Fd(), 1, 2},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return child{}, failedStart(c.argv[0], err)
	}
	done := make(chan syscall.WaitStatus, 1)
	p.ends[pid] = done
	return child{pid: pid, done: done}, nil
}

// signal forwards a signal to a command, and to no other process that may have got its number since.
func (p *processes) signal(c child, s os.Signal) {
	number, ok := s.(syscall.Signal)
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, runs := p.ends[c.pid]; ok && runs {
		_ = syscall.Kill(c.pid, number) // it can only have ended meanwhile
	}
}

// exitCode is that of a container whose command ended like this.
func exitCode(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}
