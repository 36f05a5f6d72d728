// SPDX-License-Identifier: Apache-2.0

// Package system makes sure that this machine has the Debian packages that the lab cannot get as Go modules.
package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// host is what the package asks of the machine; tests bring their own.
type host struct {
	has  func(program string) bool
	root bool
	// run runs a command and returns what it printed.
	run func(ctx context.Context, name string, args ...string) (string, error)
}

// Ensure installs the packages that are missing where it may, and names them with the command to run otherwise.
func Ensure(ctx context.Context, progress io.Writer, packages ...string) error {
	return this().ensure(ctx, progress, packages)
}

// Missing returns those of the packages that are not installed. It is empty on a machine that is not a Debian, where
// nobody can tell.
func Missing(ctx context.Context, packages ...string) []string {
	return this().missing(ctx, packages)
}

func this() host {
	return host{
		has: func(program string) bool {
			_, err := exec.LookPath(program)
			return err == nil
		},
		root: os.Geteuid() == 0,
		run: func(ctx context.Context, name string, args ...string) (string, error) {
			cmd := exec.CommandContext(ctx, name, args...)
			cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
			var output bytes.Buffer
			cmd.Stdout, cmd.Stderr = &output, &output
			err := cmd.Run()
			return output.String(), err
		},
	}
}

func (h host) ensure(ctx context.Context, progress io.Writer, packages []string) error {
	if !h.has("dpkg-query") {
		_, _ = fmt.Fprintf(progress, "this is not a Debian: the lab needs what is in these Debian packages: %s\n", strings.Join(packages, " "))
		return nil
	}
	missing := h.missing(ctx, packages)
	if len(missing) == 0 {
		return nil
	}
	install := append([]string{"install", "--yes", "--no-install-recommends"}, missing...)
	command := "apt-get " + strings.Join(install, " ")
	if !h.root || !h.has("apt-get") {
		return fmt.Errorf("the lab needs Debian packages that are not installed; run as root: %s", command)
	}
	_, _ = fmt.Fprintf(progress, "installing Debian packages: %s\n", strings.Join(missing, " "))
	if _, err := h.run(ctx, "apt-get", install...); err == nil {
		return nil
	}
	// The list of packages may be too old, or was never fetched.
	updated, updateErr := h.run(ctx, "apt-get", "update")
	output, err := h.run(ctx, "apt-get", install...)
	if err == nil {
		return nil
	}
	if updateErr != nil {
		output, err = updated+output, errors.Join(updateErr, err)
	}
	return fmt.Errorf("install Debian packages (%s): %w: %s", command, err, lastLines(output, 5))
}

func (h host) missing(ctx context.Context, packages []string) []string {
	if len(packages) == 0 || !h.has("dpkg-query") {
		return nil
	}
	// It fails as soon as it does not know one of them, but lists the others.
	list, _ := h.run(ctx, "dpkg-query", append([]string{"--show", "--showformat", "${Package} ${db:Status-Status}\n"}, packages...)...)
	installed := strings.Split(list, "\n")
	missing := slices.DeleteFunc(slices.Clone(packages), func(p string) bool {
		return slices.Contains(installed, p+" installed")
	})
	slices.Sort(missing)
	return slices.Compact(missing)
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
