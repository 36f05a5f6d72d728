// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// pollInterval is for nodes on which no watch can be had: the kernel limits them by user, and pods share users.
const pollInterval = 2 * time.Second

// payloadFile reads the launch from the file in which the kubelet shows the pod's annotation.
type payloadFile struct {
	dir    string
	launch func(payload string)
	log    *slog.Logger
}

// run reads the file now and whenever the kubelet has changed it, until the context ends. The directory is watched and not
// the file: the kubelet writes a new directory, and then has the link ..data point to it.
func (f *payloadFile) run(ctx context.Context) {
	watcher, err := watch(f.dir)
	if err != nil {
		f.log.Warn("the launch's file can't be watched, and is read every few seconds", "err", err)
		f.poll(ctx)
		return
	}
	defer func() { _ = watcher.Close() }()
	f.read() // after the watch has begun: a change between the two would be missed
	for {
		select {
		case _, ok := <-watcher.Events:
			if !ok {
				return
			}
			f.read()
		case _, ok := <-watcher.Errors: // events were lost
			if !ok {
				return
			}
			f.read()
		case <-ctx.Done():
			return
		}
	}
}

func watch(dir string) (*fsnotify.Watcher, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	if err := watcher.Add(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("watch: %w", err), watcher.Close())
	}
	return watcher, nil
}

func (f *payloadFile) poll(ctx context.Context) {
	for {
		f.read()
		if !sleep(ctx, pollInterval) {
			return
		}
	}
}

// read takes the launch, if there is one yet.
func (f *payloadFile) read() {
	text, err := os.ReadFile(filepath.Join(f.dir, "payload"))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			f.log.Warn("the launch's file can't be read", "err", err)
		}
		return
	}
	if payload := strings.TrimSpace(string(text)); payload != "" {
		f.launch(payload)
	}
}
