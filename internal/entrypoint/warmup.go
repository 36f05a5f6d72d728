// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"fmt"
	"syscall"
	"time"

	"github.com/paia-tech/hotstandbyjob/internal/protocol"
)

// warmUp runs the warm-up's command to its end. What that command leaves running goes on.
func (e *entrypoint) warmUp() error {
	if e.config.Warmup == nil {
		return nil
	}
	if err := e.config.unsetReady(); err != nil {
		return err
	}
	if err := e.runWarmup(); err != nil {
		return fmt.Errorf("warm-up: %w", err)
	}
	return e.config.setReady()
}

func (e *entrypoint) runWarmup() error {
	started, err := e.processes.start(commandOf(protocol.Payload{Command: e.config.Warmup}, e.deps.Environ))
	if err != nil {
		return err
	}
	timer := time.NewTimer(e.config.WarmupTimeout)
	defer timer.Stop()
	for {
		select {
		case status := <-started.done:
			if status.Exited() && status.ExitStatus() == 0 {
				return nil
			}
			return &exitError{exitCode(status), fmt.Errorf("command %q: %s", e.config.Warmup[0], ending(status))}
		case <-timer.C:
			e.processes.signal(started, syscall.SIGKILL)
			return fmt.Errorf("command %q: it took longer than %s", e.config.Warmup[0], e.config.WarmupTimeout)
		case s := <-e.signals:
			if ends(s) {
				e.processes.signal(started, syscall.SIGKILL)
				return signalled(s)
			}
		}
	}
}

// ending tells how a command ended.
func ending(status syscall.WaitStatus) string {
	if status.Signaled() {
		return "ended by signal " + status.Signal().String()
	}
	return fmt.Sprintf("exit code %d", status.ExitStatus())
}
