// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"
)

// killTime is how long a process may take to disappear after SIGKILL: it has to give back its memory.
const killTime = 10 * time.Second

// Stop ends daemons: all are asked to end by SIGTERM, those still there after the grace time are killed, and their pid
// files are removed. Those that have ended already are no error. A grace time of zero kills at once.
func (g Group) Stop(ctx context.Context, grace time.Duration, names ...string) error {
	var records []record
	for _, name := range names {
		r, err := g.read(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			// A pid file that cannot be read is no reason to leave the lab running: Sweep finds its process.
		default:
			records = append(records, r)
		}
	}
	if err := end(ctx, records, grace); err != nil {
		return err
	}
	for _, name := range names {
		if err := os.Remove(g.file(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove pid file of %s: %w", name, err)
		}
	}
	return nil
}

// Sweep kills every process that carries the group's mark, whether it has a pid file or not, until there is none left,
// and removes all pid files. It never ends the calling process.
func (g Group) Sweep(ctx context.Context) error {
	names, err := g.Names()
	if err != nil {
		return err
	}
	if err := g.Stop(ctx, 0, names...); err != nil {
		return err
	}
	for {
		records, err := marked(g.markEntry())
		if err != nil {
			return err
		}
		records = slices.DeleteFunc(records, func(r record) bool { return r.PID == os.Getpid() })
		if len(records) == 0 {
			return nil
		}
		// A process may have forked between the look and the kill: look again until nothing is found.
		if err := end(ctx, records, 0); err != nil {
			return err
		}
	}
}

// end signals all records and waits until they have ended.
func end(ctx context.Context, records []record, grace time.Duration) error {
	left := records
	if grace > 0 {
		signal(left, syscall.SIGTERM)
		left = await(ctx, left, grace)
	}
	signal(left, syscall.SIGKILL)
	left = await(ctx, left, killTime)
	if err := context.Cause(ctx); err != nil && len(left) > 0 {
		return fmt.Errorf("wait for process %d (%v) to end: %w", left[0].PID, left[0].Command, err)
	}
	if len(left) > 0 {
		return fmt.Errorf("process %d (%v) did not end on SIGKILL: %w", left[0].PID, left[0].Command, context.DeadlineExceeded)
	}
	return nil
}

func signal(records []record, sig syscall.Signal) {
	for _, r := range records {
		if r.alive() {
			_ = syscall.Kill(r.PID, sig) // It may have ended just now, which is what is wanted.
		}
	}
}

// await waits until the processes have ended or the time is over, and returns those still there.
func await(ctx context.Context, records []record, limit time.Duration) []record {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		records = slices.DeleteFunc(slices.Clone(records), func(r record) bool {
			if r.alive() {
				return false
			}
			// Reap it in case it is a child of ours; ECHILD says that it is not.
			_, _ = syscall.Wait4(r.PID, nil, syscall.WNOHANG, nil)
			return true
		})
		if len(records) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return records
		case <-tick.C:
		}
	}
}
