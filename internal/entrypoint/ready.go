// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// readyFile is there from the end of the warm-up on.
func (c *Config) readyFile() string { return filepath.Join(c.RunDir, "ready") }

// Ready tells, by returning no error, that the warm-up is done.
func Ready(c Config) error {
	if _, err := os.Stat(c.readyFile()); err != nil {
		return fmt.Errorf("the warm-up is not done: %w", err)
	}
	return nil
}

// setReady notes that the warm-up is done.
func (c *Config) setReady() error {
	if err := os.WriteFile(c.readyFile(), nil, 0o644); err != nil {
		return fmt.Errorf("tell that the warm-up is done: %w", err)
	}
	return nil
}

// unsetReady is for containers that are restarted: the file is in a volume, and outlives them.
func (c *Config) unsetReady() error {
	if err := os.Remove(c.readyFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("tell that the warm-up isn't done: %w", err)
	}
	return nil
}
