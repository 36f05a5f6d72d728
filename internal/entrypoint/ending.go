// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"os"
	"syscall"
)

// signalError is a signal that ended the wait for a launch.
type signalError struct{ signal os.Signal }

// Error is the signal's name.
func (e *signalError) Error() string { return e.signal.String() }

func signalled(s os.Signal) error { return &signalError{s} }

// code is what a shell makes of a command that ended by the signal.
func (e *signalError) code() int {
	number, _ := e.signal.(syscall.Signal)
	return 128 + int(number)
}

// leave writes a container's last words for the kubelet. It creates no file: a pod may have its log elsewhere, where the
// kubelet falls back to what was printed.
func leave(file, words string) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	_, _ = f.WriteString(words) // there is nobody left to tell
}
