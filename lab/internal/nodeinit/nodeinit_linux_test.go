// SPDX-License-Identifier: Apache-2.0

package nodeinit

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestBelow(t *testing.T) {
	folder := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(folder, link); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		path, dir string
		want      bool
	}{
		{"/var/lib/lab", "/var/lib", true},
		{"/var/lib", "/var/lib", true},
		{"/var/library", "/var/lib", false},
		{"/root/.local/state", "/run", false},
		{link, folder, true},
	} {
		if got := below([]string{"/elsewhere", tc.path}, tc.dir); got != tc.want {
			t.Errorf("%s below %s: %v, want %v", tc.path, tc.dir, got, tc.want)
		}
	}
}

func TestReaperTellsExitCodes(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := newReaper()
	go r.run(ctx)
	for _, want := range []int{0, 3} {
		p := Program{Path: "/bin/sh", Args: []string{"-c", "exit " + string(rune('0'+want))}, Log: filepath.Join(t.TempDir(), "log")}
		done, err := launch(r, Spec{Path: "/bin"}, p)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case status := <-done:
			if status.ExitStatus() != want {
				t.Errorf("exit code %d, want %d", status.ExitStatus(), want)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("nobody reaped it")
		}
	}
	if _, err := launch(r, Spec{}, Program{Path: "/does/not/exist", Log: os.DevNull}); err == nil {
		t.Error("a program that does not exist was started")
	}
}

func TestProgramsAreStartedAgain(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	starts := make(chan int, 10)
	ended := make(chan struct{})
	n := 0
	go func() {
		defer close(ended)
		keep(ctx, slog.New(slog.DiscardHandler), func() (<-chan syscall.WaitStatus, error) {
			n++
			starts <- n
			if n == 1 {
				return nil, errors.New("not yet")
			}
			done := make(chan syscall.WaitStatus, 1)
			if n == 2 {
				done <- syscall.WaitStatus(1 << 8)
			}
			return done, nil
		})
	}()
	for want := 1; want <= 3; want++ {
		select {
		case got := <-starts:
			if got != want {
				t.Errorf("start %d, want %d", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("it was not started for the %d. time", want)
		}
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end with its context")
	}
}
