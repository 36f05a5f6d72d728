// SPDX-License-Identifier: Apache-2.0

// Package filelock is a lock between processes that the kernel releases when its holder ends, however that happens.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// pollInterval is how often a lock that somebody holds is tried again: flock cannot wait and heed a context.
const pollInterval = 20 * time.Millisecond

// Lock is a lock that is held.
type Lock struct{ file *os.File }

// Acquire waits for the lock; waiting, if not nil, is called once when somebody else holds it.
func Acquire(ctx context.Context, path string, waiting func()) (*Lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	for told := false; ; told = true {
		l, err := try(path)
		if l != nil || err != nil {
			return l, err
		}
		if !told && waiting != nil {
			waiting()
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for lock %s: %w", path, context.Cause(ctx))
		case <-time.After(pollInterval):
		}
	}
}

// try returns nil without an error when somebody else holds the lock.
func try(path string) (*Lock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil && same(file, path) {
		return &Lock{file: file}, nil
	}
	_ = file.Close()
	if err == nil || errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
		return nil, nil
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

// same reports whether the file is still the one at that path: its last holder may have removed it.
func same(file *os.File, path string) bool {
	held, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(held, there)
}

// Release gives the lock back.
func (l *Lock) Release() { _ = l.file.Close() }

// Remove gives the lock back and removes its file.
func (l *Lock) Remove() {
	_ = os.Remove(l.file.Name())
	l.Release()
}
