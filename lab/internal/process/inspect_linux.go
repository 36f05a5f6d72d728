// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// inspect returns when a process was started, in a form that no other process of this machine ever has, and whether it
// has ended but is not reaped yet. A process that is not there is an error.
func inspect(pid int) (start string, ended bool, err error) {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return "", false, fmt.Errorf("inspect process %d: %w", pid, err)
	}
	// The second field is the program's name in brackets and may hold anything, so fields are counted after it.
	_, after, ok := strings.Cut(string(raw[bytes.LastIndexByte(raw, ')')+1:]), " ")
	fields := strings.Fields(after)
	const state, threads, startTime = 0, 17, 19
	if !ok || len(fields) <= startTime {
		return "", false, fmt.Errorf("inspect process %d: cannot read its stat file", pid)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", false, fmt.Errorf("inspect process %d: %w", pid, err)
	}
	// Start times count from the start of the machine, so that they say nothing after the next one.
	// A process whose first thread has ended is shown as a zombie while other threads still hold its ports.
	ended = fields[state] == "X" || fields[state] == "Z" && (fields[threads] == "0" || fields[threads] == "1")
	return strings.TrimSpace(string(boot)) + "/" + fields[startTime], ended, nil
}

// marked returns the processes that have the entry in their environment.
func marked(entry string) ([]record, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var found []record
	for _, dir := range dirs {
		env, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ESRCH) {
				continue // ended meanwhile, or somebody else's
			}
			return nil, fmt.Errorf("list processes: %w", err)
		}
		if !hasEntry(env, entry) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		start, ended, err := inspect(pid)
		if err != nil || ended {
			continue
		}
		command, _ := os.ReadFile(filepath.Join(dir, "cmdline")) // for messages only
		found = append(found, record{PID: pid, StartTime: start, Command: strings.Split(string(command), "\x00")})
	}
	return found, nil
}

func hasEntry(env []byte, entry string) bool {
	for kv := range bytes.SplitSeq(env, []byte{0}) {
		if string(kv) == entry {
			return true
		}
	}
	return false
}
