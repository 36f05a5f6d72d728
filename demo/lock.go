// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockName makes sure that no other demo uses the same lab at the same time: it would take it away. The system unlocks
// when the process ends, however it ends.
func lockName(name string) (func(), error) {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("hotstandbyjob-demo-%d-%s.lock", os.Getuid(), name))
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make sure that only one demo runs: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.Join(fmt.Errorf("another demo runs on this machine: wait for it, or choose another --name than %q", name), file.Close())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make sure that only one demo runs: %w", err), file.Close())
	}
	return func() { _ = file.Close() }, nil
}
