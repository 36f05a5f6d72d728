// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/paia-tech/hotstandbyjob/lab/internal/controlplane"
	"github.com/paia-tech/hotstandbyjob/lab/internal/simnode"
)

func TestDownOfWhatIsNotThereIsNoError(t *testing.T) {
	t.Setenv(StateVariable, t.TempDir())
	mustDown(t, "never")
	if _, err := Open("never"); !errors.Is(err, ErrNotRunning) {
		t.Errorf("open: %v, want %v", err, ErrNotRunning)
	}
}

func TestDownWithAStateThatCannotBeRead(t *testing.T) {
	t.Setenv(StateVariable, t.TempDir())
	f, err := locate("broken")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.path(stateFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Down(t.Context(), "broken"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(f.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func TestDownAfterAPartWasKilled(t *testing.T) {
	private(t)
	parts := []string{controlplane.Etcd, controlplane.APIServer, simnode.Process}
	if nodePossible() {
		parts = append(parts, "node")
	}
	for _, part := range parts {
		t.Run(part, func(t *testing.T) {
			l := mustUp(t, Options{Name: "maimed", SimNodes: 1}) // mustUp's clean-up holds that nothing is left
			kill(t, l, part)
			started := time.Now()
			mustDown(t, "maimed")
			t.Logf("down took %s", time.Since(started))
		})
	}
}

// TestDownAfterUpWasKilled kills the command at many moments, from before anything runs to when everything does.
func TestDownAfterUpWasKilled(t *testing.T) {
	private(t)
	command := buildCommand(t)
	if _, err := Build(t.Context(), Options{Progress: testLog{t}}); err != nil {
		t.Fatal(err)
	}
	for _, after := range []time.Duration{
		20, 50, 100, 150, 200, 300, 500, 800, 1200, 2000, 3500, 5000,
	} {
		after *= time.Millisecond
		t.Run(after.String(), func(t *testing.T) {
			t.Cleanup(func() { mustDown(t, "halfway") })
			runAndKill(t, command, after)
			mustDown(t, "halfway")
		})
	}
	t.Run("and up again instead of down", func(t *testing.T) {
		for _, after := range []time.Duration{100, 1200, 3000} {
			runAndKill(t, command, after*time.Millisecond)
		}
		l := mustUp(t, Options{Name: "halfway", SimNodes: 1})
		if _, err := clientOf(t, l).ServerVersion(); err != nil {
			t.Error(err)
		}
	})
}

func buildCommand(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lab")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./cmd/lab")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the command: %v\n%s", err, out)
	}
	return path
}

// runAndKill runs "lab up" and kills it after a time, or lets it end if it is faster.
func runAndKill(t *testing.T, command string, after time.Duration) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command, "up", "--name", "halfway", "--sim-nodes", "1")
	cmd.Stderr = testLog{t}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	_ = cmd.Wait() // its end is what counts, however it came
}
