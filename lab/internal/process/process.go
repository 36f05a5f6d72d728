// SPDX-License-Identifier: Apache-2.0

// Package process starts daemons that outlive the command that started them, and ends them again from what is on disk
// alone. It knows nothing of what they do.
//
// A pid file names a process by its id and its start time, so that a number which the kernel has given to somebody
// else is never signalled. Every process also carries a mark in its environment: what was started by a command that
// was killed before it could write the pid file is found by it.
package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// markVariable is the environment variable that says which group a process belongs to.
const markVariable = "HSJ_LAB_PROCESS_OF"

// Group is the daemons of one lab: they share a folder of pid files, a folder of logs and a mark.
type Group struct {
	// Run is the folder of the pid files.
	Run string
	// Logs is the folder of the log files, one per process.
	Logs string
	// Mark is what tells the processes of this group from those of others, the lab's state folder by custom.
	Mark string
}

// Spec says what to start.
type Spec struct {
	// Name is the process's name in the group, and that of its pid file and its log.
	Name string
	// Path is the program.
	Path string
	// Args are its arguments, without the program's name.
	Args []string
	// Env is added to the environment of this process.
	Env []string
}

// record is what a pid file holds.
type record struct {
	PID       int      `json:"pid"`
	StartTime string   `json:"startTime"`
	Command   []string `json:"command"`
}

// Start starts a daemon in a session of its own unless it runs already, and returns its process id.
// The daemon is not bound to the context: it goes on when the caller has ended.
func (g Group) Start(ctx context.Context, spec Spec) (int, error) {
	if pid, ok := g.Running(spec.Name); ok {
		return pid, nil
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	for _, dir := range []string{g.Run, g.Logs} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return 0, fmt.Errorf("start %s: %w", spec.Name, err)
		}
	}
	log, err := os.OpenFile(g.LogFile(spec.Name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return 0, fmt.Errorf("open the log of %s: %w", spec.Name, err)
	}
	defer func() { _ = log.Close() }()

	cmd := exec.CommandContext(context.WithoutCancel(ctx), spec.Path, spec.Args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(g.environ(), spec.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	pid := cmd.Process.Pid
	start, _, err := inspect(pid)
	if err != nil {
		return 0, errors.Join(fmt.Errorf("start %s: it ended at once, see %s", spec.Name, g.LogFile(spec.Name)), cmd.Wait())
	}
	// The handle is given back, not waited for: ended children are told by their state and reaped in Stop.
	if err := cmd.Process.Release(); err != nil {
		return 0, fmt.Errorf("release %s: %w", spec.Name, err)
	}
	return pid, g.write(spec.Name, record{PID: pid, StartTime: start, Command: cmd.Args})
}

// Running returns the process id of a daemon that was started and has not ended.
func (g Group) Running(name string) (int, bool) {
	r, err := g.read(name)
	if err != nil {
		return 0, false
	}
	return r.PID, r.alive()
}

// Names returns the daemons that have a pid file, running or not.
func (g Group) Names() ([]string, error) {
	entries, err := os.ReadDir(g.Run)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list pid files: %w", err)
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".json"); ok {
			names = append(names, name)
		}
	}
	return names, nil
}

// LogFile is the file that a daemon's output goes to.
func (g Group) LogFile(name string) string { return filepath.Join(g.Logs, name+".log") }

// environ is the caller's environment with the group's mark and without proxies: daemons of a lab talk to each other
// on addresses that no proxy can reach.
func (g Group) environ() []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		key, _, _ := strings.Cut(kv, "=")
		return key == markVariable || strings.HasSuffix(strings.ToLower(key), "_proxy")
	})
	return append(env, g.markEntry())
}

func (g Group) markEntry() string { return markVariable + "=" + g.Mark }

func (g Group) file(name string) string { return filepath.Join(g.Run, name+".json") }

func (g Group) read(name string) (record, error) {
	var r record
	raw, err := os.ReadFile(g.file(name))
	if err != nil {
		return r, fmt.Errorf("read pid file: %w", err)
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, fmt.Errorf("read pid file %s: %w", g.file(name), err)
	}
	return r, nil
}

// write replaces the pid file in one step: a reader never sees half of it.
func (g Group) write(name string, r record) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write pid file of %s: %w", name, err)
	}
	temp := g.file(name) + ".tmp"
	if err := os.WriteFile(temp, raw, 0o644); err != nil {
		return fmt.Errorf("write pid file of %s: %w", name, err)
	}
	if err := os.Rename(temp, g.file(name)); err != nil {
		return fmt.Errorf("write pid file of %s: %w", name, err)
	}
	return nil
}

// alive reports whether the process of this record exists, is the same one, and has not ended. One that ended and is
// not reaped yet counts as ended: process 1 of a container may take its time.
func (r record) alive() bool {
	if r.PID <= 1 {
		return false
	}
	start, ended, err := inspect(r.PID)
	return err == nil && !ended && start == r.StartTime
}

// pollInterval is how often the end of a process is looked for: the kernel tells only its parent.
const pollInterval = 10 * time.Millisecond
