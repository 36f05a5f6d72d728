// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Install copies this program to the directory, as standby. Where an older copy is, it is replaced at once or not at all.
func Install(dir string) error {
	if err := install(dir); err != nil {
		return fmt.Errorf("install: %w", err)
	}
	return nil
}

func install(dir string) error {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer func() { _ = self.Close() }()
	copied, err := os.CreateTemp(dir, ".standby-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(copied, self)
	err = errors.Join(err, copied.Chmod(0o755), copied.Close())
	if err == nil {
		err = os.Rename(copied.Name(), filepath.Join(dir, "standby"))
	}
	if err != nil {
		err = errors.Join(err, os.Remove(copied.Name()))
	}
	return err
}
