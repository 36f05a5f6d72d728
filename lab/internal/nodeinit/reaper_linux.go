// SPDX-License-Identifier: Apache-2.0

package nodeinit

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// reaper waits for every process of the namespace: those that it started and the orphans, which all become children of
// process 1. A process is waited for in one place only, since whoever waits first takes the exit status.
type reaper struct {
	mu      sync.Mutex
	started map[int]chan<- syscall.WaitStatus
}

func newReaper() *reaper { return &reaper{started: map[int]chan<- syscall.WaitStatus{}} }

// run reaps until the context ends.
func (r *reaper) run(ctx context.Context) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	defer signal.Stop(ended)
	for {
		r.reap()
		select {
		case <-ctx.Done():
			return
		case <-ended: // One signal can stand for many children.
		}
	}
}

func (r *reaper) reap() {
	// With the lock held, since a program can end before start has written its id down.
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if done, ok := r.started[pid]; ok {
			delete(r.started, pid)
			done <- status
		}
	}
}

// start starts a process and returns where its end is told.
func (r *reaper) start(path string, argv []string, attr *os.ProcAttr) (<-chan syscall.WaitStatus, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	process, err := os.StartProcess(path, argv, attr)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	done := make(chan syscall.WaitStatus, 1)
	r.started[process.Pid] = done
	if err := process.Release(); err != nil {
		return nil, fmt.Errorf("release %s: %w", path, err)
	}
	return done, nil
}
