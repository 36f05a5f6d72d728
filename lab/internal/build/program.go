// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// tellEvery is how often a build that takes long says that it goes on.
const tellEvery = 15 * time.Second

// Program compiles a package of the checkout's main module into a static binary for Linux. Go's own cache is all that
// it keeps: its sources change with every edit.
func Program(ctx context.Context, progress io.Writer, pkg, out string) error {
	root, err := Root()
	if err != nil {
		return err
	}
	b := builder{source: root, progress: progress}
	name := filepath.Base(pkg)
	started := time.Now()
	b.say("building %s, which can take some minutes the first time", name)
	built := make(chan error, 1)
	go func() {
		built <- b.compile(ctx, Component{
			Name: name, Dir: ".", LDFlags: []string{"-s", "-w"}, Env: []string{"GOOS=linux"},
		}, pkg, out)
	}()
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-built:
			if err != nil {
				return err
			}
			b.say("built %s in %s", name, time.Since(started).Round(100*time.Millisecond))
			return nil
		case <-tick.C:
			b.say("still building %s (%s)", name, time.Since(started).Round(time.Second))
		}
	}
}

// Root is the checkout's folder: that of the main module.
func Root() (string, error) {
	source, err := Source()
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	return filepath.Dir(filepath.Dir(source)), nil
}
