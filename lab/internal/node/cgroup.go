// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cgroupTime is how long the processes of killed containers may take to be gone.
const cgroupTime = 10 * time.Second

// cgroupName is the cgroup of all pods of a lab, in every hierarchy. The index makes it unique on this machine.
func cgroupName(index int) string { return hostLink(index) }

// cgroupDirs are the folders of the lab's cgroup: one, or one per hierarchy with cgroup v1.
func cgroupDirs(index int) ([]string, error) {
	all, err := mounts()
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, m := range all {
		if strings.HasPrefix(m.kind, "cgroup") && strings.HasPrefix(m.path, "/sys/fs/cgroup") {
			dirs = append(dirs, filepath.Join(m.path, cgroupName(index)))
		}
	}
	if len(dirs) == 0 {
		return nil, errors.New("no cgroups are mounted below /sys/fs/cgroup: a real node cannot run here, use simulated ones")
	}
	return dirs, nil
}

// makeCgroup makes the lab's cgroup: the kubelet wants it to exist.
func makeCgroup(index int) error {
	dirs, err := cgroupDirs(index)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := delegate(filepath.Dir(dir)); err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("create cgroup (a real node needs a writable /sys/fs/cgroup): %w", err)
		}
		if err := weigh(dir); err != nil {
			return err
		}
	}
	return nil
}

// weigh gives the pods together the part of the CPU time that they have on a node: a thread's part for each core. As any
// other new cgroup, they would share a single thread's.
func weigh(dir string) error {
	cores := runtime.NumCPU()
	for file, weight := range map[string]int{
		"cpu.shares": 1024 * cores,           // cgroup v1
		"cpu.weight": min(100*cores, 10_000), // cgroup v2
	} {
		path := filepath.Join(dir, file)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue // another hierarchy, or another version
		}
		if err := os.WriteFile(path, []byte(strconv.Itoa(weight)), 0o644); err != nil {
			return fmt.Errorf("give the pods' cgroup its part of the CPU time: %w", err)
		}
	}
	return nil
}

// delegate hands the controllers of a cgroup v2 folder on to its children. In cgroup v1 there is nothing to hand on.
func delegate(dir string) error {
	raw, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read cgroup controllers: %w", err)
	}
	for controller := range strings.FieldsSeq(string(raw)) {
		// One that cannot be handed on is one that the kubelet will name if it needs it.
		_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
	}
	return nil
}

// removeCgroup kills what still runs in the lab's cgroup and removes it.
func removeCgroup(ctx context.Context, index int) error {
	dirs, err := cgroupDirs(index)
	if err != nil {
		return nil // without cgroups there is nothing to remove
	}
	ctx, cancel := context.WithTimeout(ctx, cgroupTime)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		var failed []error
		for _, dir := range dirs {
			failed = append(failed, removeTree(dir))
		}
		err := errors.Join(failed...)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("remove cgroups: %w", err)
		case <-tick.C:
		}
	}
}

// removeTree removes a cgroup bottom up. Its files cannot be removed and vanish with their folder.
func removeTree(root string) error {
	var dirs []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("list cgroup: %w", err)
	}
	var failed []error
	for _, dir := range slices.Backward(dirs) {
		killMembers(dir)
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

func killMembers(dir string) {
	raw, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return
	}
	for field := range strings.FieldsSeq(string(raw)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 1 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
