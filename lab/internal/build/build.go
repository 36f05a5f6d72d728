// SPDX-License-Identifier: Apache-2.0

// Package build compiles the programs of a lab from Go modules, once: what has been built is kept outside the source
// tree, under a key made of everything that the result depends on.
package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// CacheVariable is the environment variable that names the folder to keep built programs in.
const CacheVariable = "HSJ_LAB_CACHE"

// builder is one run of Ensure.
type builder struct {
	source    string // the folder that the components' modules are in
	cache     string // where the results are kept
	goVersion string
	progress  io.Writer
}

// Ensure returns a folder with the binaries of the components. It builds those that are missing, and says so.
func Ensure(ctx context.Context, progress io.Writer, components ...Component) (string, error) {
	source, err := Source()
	if err != nil {
		return "", err
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	goVersion, err := toolchain(ctx, source)
	if err != nil {
		return "", err
	}
	b := builder{source: source, cache: cache, goVersion: goVersion, progress: progress}
	return b.ensure(ctx, components)
}

// Missing returns the components that Ensure would have to build.
func Missing(ctx context.Context, components ...Component) ([]Component, error) {
	source, err := Source()
	if err != nil {
		return nil, err
	}
	cache, err := CacheDir()
	if err != nil {
		return nil, err
	}
	goVersion, err := toolchain(ctx, source)
	if err != nil {
		return nil, err
	}
	b := builder{source: source, cache: cache, goVersion: goVersion, progress: io.Discard}
	var missing []Component
	for _, c := range components {
		dir, err := b.componentDir(c)
		if err != nil {
			return nil, err
		}
		if !exists(dir) {
			missing = append(missing, c)
		}
	}
	return missing, nil
}

func (b builder) ensure(ctx context.Context, components []Component) (string, error) {
	bin, err := b.binDir(components)
	if err != nil || exists(bin) {
		return bin, err
	}
	unlock, err := lock(ctx, filepath.Join(b.cache, "lock"), func() {
		b.say("another build is going on, waiting for it")
	})
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(bin) {
		return bin, nil
	}
	if err := b.removeRemains(); err != nil {
		return "", err
	}
	for _, c := range components {
		if err := b.component(ctx, c); err != nil {
			return "", err
		}
	}
	return bin, b.assemble(components, bin)
}

// component builds one component into a folder of its own unless it is there.
func (b builder) component(ctx context.Context, c Component) error {
	dir, err := b.componentDir(c)
	if err != nil || exists(dir) {
		return err
	}
	b.announce(c)
	started := time.Now()
	temp, err := os.MkdirTemp(b.cache, tempPrefix)
	if err != nil {
		return fmt.Errorf("build %s: %w", c.Name, err)
	}
	defer func() { _ = os.RemoveAll(temp) }()
	for _, binary := range slices.Sorted(maps.Keys(c.Packages)) {
		if err := b.compile(ctx, c, c.Packages[binary], filepath.Join(temp, binary)); err != nil {
			return err
		}
		for _, name := range c.Links {
			if err := os.Link(filepath.Join(temp, binary), filepath.Join(temp, name)); err != nil {
				return fmt.Errorf("build %s: %w", c.Name, err)
			}
		}
	}
	if err := publish(temp, dir); err != nil {
		return fmt.Errorf("build %s: %w", c.Name, err)
	}
	b.say("built %s in %s", c.Name, time.Since(started).Round(time.Second))
	return nil
}

func (b builder) announce(c Component) {
	hint := ""
	if c.Name == Kubernetes {
		hint = ", which can take ten minutes"
	}
	b.say("building %s from Go modules, this once%s", c.Name, hint)
}

func (b builder) compile(ctx context.Context, c Component, pkg, out string) error {
	args := []string{
		"build", "-trimpath", "-buildvcs=false",
		"-tags", strings.Join(c.Tags, ","),
		"-ldflags", strings.Join(c.LDFlags, " "),
		"-o", out, pkg,
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = filepath.Join(b.source, c.Dir)
	cmd.Env = append(os.Environ(), append(hermetic(), c.Env...)...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build %s (go build %s in %s): %w\n%s", c.Name, pkg, cmd.Dir, err, strings.TrimSpace(output.String()))
	}
	return nil
}

// hermetic undoes settings of the user that would change what is built.
func hermetic() []string {
	return []string{"CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off", "GOOS=", "GOARCH=", "GOEXPERIMENT="}
}

// assemble links the binaries of all components into one folder.
func (b builder) assemble(components []Component, bin string) error {
	temp, err := os.MkdirTemp(b.cache, tempPrefix)
	if err != nil {
		return fmt.Errorf("assemble binaries: %w", err)
	}
	defer func() { _ = os.RemoveAll(temp) }()
	for _, c := range components {
		dir, err := b.componentDir(c)
		if err != nil {
			return err
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return fmt.Errorf("assemble binaries: %w", err)
		}
		for _, e := range entries {
			if err := os.Link(filepath.Join(dir, e.Name()), filepath.Join(temp, e.Name())); err != nil {
				return fmt.Errorf("assemble binaries: %w", err)
			}
		}
	}
	if err := publish(temp, bin); err != nil {
		return fmt.Errorf("assemble binaries: %w", err)
	}
	return nil
}

func (b builder) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.progress, format+"\n", args...)
}

// toolchain is the version of Go that builds, and what it builds for.
func toolchain(ctx context.Context, source string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOHOSTOS", "GOHOSTARCH")
	cmd.Dir = filepath.Join(source, Kubernetes)
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("the lab is built from Go modules, install Go first: %w", err)
	}
	if err != nil {
		return "", fmt.Errorf("ask go for its version: %w", err)
	}
	return strings.Join(strings.Fields(string(out)), " "), nil
}
