// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/paia-tech/hotstandbyjob/internal/protocol"
)

// What a shell exits with for commands that it can't run.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
)

// defaultPath is what container runtimes search where an environment has no PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// command is a program, ready to be started.
type command struct {
	argv []string
	env  []string
	dir  string // empty: where the entrypoint is
}

// commandOf is what a launch runs in a container with this environment.
func commandOf(p protocol.Payload, base []string) command {
	env, expand := environment(base, p)
	c := command{env: env, dir: p.WorkingDir}
	for _, words := range [][]string{p.Command, p.Args} {
		for _, word := range words {
			c.argv = append(c.argv, expand(word))
		}
	}
	return c
}

// exitError is a reason to end with an exit code.
type exitError struct {
	code int
	err  error
}

// Error is the reason.
func (e *exitError) Error() string { return e.err.Error() }

// Unwrap is the reason.
func (e *exitError) Unwrap() error { return e.err }

// prepare makes the working directory, as container runtimes do, and finds the program.
func (c command) prepare() (string, error) {
	if c.dir != "" {
		if err := os.MkdirAll(c.dir, 0o755); err != nil {
			return "", &exitError{exitNotExecutable, fmt.Errorf("working directory: %w", err)}
		}
	}
	path, err := c.lookup()
	if err != nil {
		return "", failedStart(c.argv[0], err)
	}
	return path, nil
}

// lookup finds the program in the environment that it will have, seen from the directory that it will start in.
func (c command) lookup() (string, error) {
	name := c.argv[0]
	if strings.Contains(name, "/") {
		return name, executable(filepath.Join(c.root(name), name))
	}
	path, ok := value(c.env, "PATH")
	if !ok {
		path = defaultPath
	}
	notFound := fmt.Errorf("not found in PATH (%s): %w", path, syscall.ENOENT)
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if !filepath.IsAbs(file) {
			file = "./" + file // or it would be searched for once more
		}
		err := executable(filepath.Join(c.root(file), file))
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, syscall.ENOENT) && !errors.Is(err, syscall.ENOTDIR) {
			notFound = err // what can't be run is a better answer than that there is nothing
		}
	}
	return "", notFound
}

// root is what a path is relative to.
func (c command) root(path string) string {
	if filepath.IsAbs(path) {
		return ""
	}
	return c.dir
}

// executable tells what speaks against running a file.
func executable(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("%s: %w", file, syscall.EISDIR)
	}
	if err := unix.Access(file, unix.X_OK); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// failedStart has the exit code that a shell would have for a command that couldn't be started.
func failedStart(name string, err error) error {
	code := exitNotExecutable
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR) {
		code = exitNotFound
	}
	return &exitError{code, fmt.Errorf("command %q: %w", name, err)}
}
