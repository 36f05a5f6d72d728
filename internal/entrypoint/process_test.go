// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/paia-tech/hotstandbyjob/internal/protocol"
)

func TestThePodExitsWithItsCommandsExitCode(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for name, tc := range map[string]struct {
		command []string
		want    int
		says    string
	}{
		"success":                 {[]string{"true"}, 0, ""},
		"failure":                 {[]string{"sh", "-c", "exit 3"}, 3, ""},
		"the largest code":        {[]string{"sh", "-c", "exit 255"}, 255, ""},
		"killed":                  {[]string{"sh", "-c", "kill -9 $$$$"}, 137, ""},
		"terminated":              {[]string{"sh", "-c", "kill $$$$"}, 143, ""},
		"not there":               {[]string{"no-such-command"}, 127, `command "no-such-command": not found in PATH`},
		"no such path":            {[]string{"/no/such/command"}, 127, `command "/no/such/command": `},
		"a file where a dir is":   {[]string{"/dev/null/command"}, 127, `not a directory`},
		"no interpreter":          {[]string{write("lost", "#!/no/such/interpreter\n", 0o755)}, 127, "lost"},
		"not executable":          {[]string{write("data", "#!/bin/sh\n", 0o644)}, 126, "permission denied"},
		"a directory":             {[]string{dir}, 126, "is a directory"},
		"nothing that can be run": {[]string{write("words", "echo\n", 0o755)}, 126, "exec format error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKubelet(t)
			k.launch(protocol.Payload{ID: "launch-1", Command: tc.command})
			p := newPod(t, k)
			p.wants(tc.want)
			if tc.says == "" {
				if p.out.String() != "" || p.lastWords() != "" {
					t.Errorf("it wrote %q, its last words were %q", p.out.String(), p.lastWords())
				}
				return
			}
			if !strings.Contains(p.lastWords(), tc.says) || !strings.Contains(p.out.String(), tc.says) {
				t.Errorf("it wrote %q, its last words were %q; want %q", p.out.String(), p.lastWords(), tc.says)
			}
			if lines := strings.Count(p.out.String(), "\n"); lines != 1 {
				t.Errorf("it wrote %d lines: %q", lines, p.out.String())
			}
		})
	}
}

func TestTheCommandIsRunAsTheLaunchSays(t *testing.T) {
	dir := t.TempDir()
	k := newKubelet(t)
	k.launch(protocol.Payload{
		ID: "launch-1", Command: []string{"sh", "-c"},
		Args:       []string{`echo "$0 $GREETING ${BASE-unset} $(pwd)"; cat; ulimit -n`, "$(GREETING)!"},
		WorkingDir: filepath.Join(dir, "made", "for it"),
		Env:        []protocol.EnvVar{{Name: "WHO", Value: "world"}, {Name: "GREETING", Value: "hello $(WHO)"}},
		UnsetEnv:   []string{"BASE"},
	})
	p := preparePod(t, k)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	p.start()
	p.wants(0)
	lines := strings.Split(p.out.String(), "\n")
	if want := "hello world! hello world unset " + dir + "/made/for it"; lines[0] != want {
		t.Errorf("it wrote %q, want %q", lines[0], want)
	}
	if len(lines) != 3 {
		t.Errorf("it read its input: %q", lines)
	}
}

func TestOutputIsPassedOnInOrder(t *testing.T) {
	k := newKubelet(t)
	k.launch(launchOf(`i=0; while [ $i -lt 200 ]; do echo $i; echo $i >&2; i=$((i+1)); done`))
	p := newPod(t, k)
	p.wants(0)
	var want strings.Builder
	for i := range 200 {
		fmt.Fprintf(&want, "%d\n%d\n", i, i)
	}
	if p.out.String() != want.String() {
		t.Errorf("it wrote %q", p.out.String())
	}
}

func TestSignalsAreForwardedToTheCommand(t *testing.T) {
	for name, tc := range map[string]struct {
		script string
		signal syscall.Signal
		want   int
	}{
		"handled":                  {`trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done`, syscall.SIGTERM, 7},
		"not handled":              {`echo ready; exec sleep 60`, syscall.SIGTERM, 143},
		"one of the user's":        {`trap 'exit 8' USR1; echo ready; while :; do sleep 0.01; done`, syscall.SIGUSR1, 8},
		"the terminal's size":      {`trap 'exit 9' WINCH; echo ready; while :; do sleep 0.01; done`, syscall.SIGWINCH, 9},
		"a broken pipe of its own": {`echo ready; kill -PIPE $$$$; sleep 60`, 0, 141},
		"one that it sends to its group doesn't come back": {
			`trap 'n=$((n+1)); echo term $n' TERM; echo ready; kill -TERM 0; sleep 0.05; exit $n`, 0, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKubelet(t)
			k.launch(launchOf(tc.script))
			p := newPod(t, k)
			p.says("ready")
			if tc.signal != 0 {
				p.signal(tc.signal)
			}
			p.wants(tc.want)
		})
	}
}

func TestAnIdlePodEndsAtOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		signal syscall.Signal
		want   int
	}{
		"terminated": {syscall.SIGTERM, 143}, "interrupted": {syscall.SIGINT, 130}, "an image's own stop signal": {syscall.SIGQUIT, 131},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPod(t, newKubelet(t), "--warmup", `["echo","warm"]`)
			eventually(t, "it is ready", func() bool { return Ready(Config{RunDir: p.run}) == nil })
			p.signal(syscall.SIGWINCH) // means nothing to it
			p.signal(tc.signal)
			p.wants(tc.want)
			if p.lastWords() != "" {
				t.Errorf("its last words are %q", p.lastWords())
			}
		})
	}
}

// Orphans of a command become children of the entrypoint, be it the first process or not.
func TestZombiesAreReaped(t *testing.T) {
	k := newKubelet(t)
	k.launch(launchOf(`i=0; while [ $i -lt 20 ]; do (sh -c 'exit 1' & exec true); i=$((i+1)); done; echo orphaned; exec sleep 60`))
	p := newPod(t, k)
	p.says("orphaned")
	eventually(t, "only the command is left", func() bool { return len(children(t, p.pid())) == 1 })
	p.signal(syscall.SIGTERM)
	p.wants(143)
}

func children(t *testing.T, pid int) []string {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ESRCH) { // threads come and go
			t.Fatal(err)
		}
		all = append(all, strings.Fields(string(text))...)
	}
	return all
}

func TestAsTheFirstProcess(t *testing.T) {
	for name, tc := range map[string]struct {
		script string
		signal syscall.Signal
		want   int
	}{
		"it exits with the command's code, and takes the rest along": {`sleep 60 & echo ready; exit 5`, 0, 5},
		"a signal that the command doesn't handle ends it":           {`echo ready; exec sleep 60`, syscall.SIGTERM, 143},
		"so does one that kills it":                                  {`echo ready; kill -9 $$$$`, 0, 137},
		"an idle one can be terminated":                              {``, syscall.SIGTERM, 143},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKubelet(t)
			p := preparePod(t, k, "--warmup", `["echo","warm"]`)
			p.process.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
			if os.Getuid() != 0 {
				t.Skip("only root can make a process namespace")
			}
			p.start()
			eventually(t, "it is ready", func() bool { return Ready(Config{RunDir: p.run}) == nil })
			if tc.script != "" {
				k.launch(launchOf(tc.script))
				p.says("ready")
			}
			if tc.signal != 0 {
				p.signal(tc.signal)
			}
			p.wants(tc.want)
		})
	}
}
