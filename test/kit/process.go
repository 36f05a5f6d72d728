// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// operatorVariable is the environment variable that names a program that BuildOperator need not build.
const operatorVariable = "HSJ_OPERATOR"

// BuildOperator builds cmd/operator with the race detector and returns the program's path, unless HSJ_OPERATOR names it:
// tools/test.sh builds it before the tests keep the machine busy.
func BuildOperator(t testing.TB) string {
	t.Helper()
	if program := os.Getenv(operatorVariable); program != "" {
		return program
	}
	program := filepath.Join(t.TempDir(), "operator")
	build := exec.CommandContext(t.Context(), "go", "build", "-race", "-o", program, "./cmd/operator")
	build.Dir = Root()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the operator: %v\n%s", err, out)
	}
	return program
}

// Process is an operator in a process of its own, which can be killed.
type Process struct {
	cmd *exec.Cmd
	log *output
	end func() error // waits
}

// Start starts an operator that serves the namespace alone. Its log is shown if the test fails, and it fails if there
// was a race or a panic.
func (e *Env) Start(program string, args ...string) *Process {
	e.T.Helper()
	p := &Process{log: &output{}}
	p.cmd = exec.CommandContext(e.T.Context(), program, append([]string{ //nolint:gosec // the program was just built
		"--kubeconfig=" + e.Lab.Kubeconfig(), "--namespace=" + e.Namespace,
		"--health-address=0", "--metrics-address=0", "--ui-address=0", "--log-format=text", "--push=false",
	}, args...)...)
	p.cmd.Env = append(os.Environ(), "SYNC_INTERVAL=1")
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		e.T.Fatalf("start the operator: %v", err)
	}
	p.end = sync.OnceValue(p.cmd.Wait)
	e.T.Cleanup(func() {
		p.Kill()
		text := p.log.String()
		if strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic:") {
			e.T.Errorf("the operator has a race or panicked:\n%s", text)
		} else if e.T.Failed() {
			e.T.Logf("log of operator %d:\n%s", p.cmd.Process.Pid, text)
		}
	})
	return p
}

// Kill ends the process as kill -9 does.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	_ = p.end()
}

// Terminate asks the process to end, and returns its error when it has.
func (p *Process) Terminate() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return p.end()
}

// Log is what the process has written.
func (p *Process) Log() string { return p.log.String() }

// output is a buffer that is read while it is written to.
type output struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.String()
}
