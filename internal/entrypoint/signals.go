// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"os"
	"os/signal"
	"syscall"
)

// lastSignal is the last of the real-time signals.
const lastSignal = 64

// listen receives all signals that are meant for the command, until stop is called.
func listen() (signals <-chan os.Signal, stop func()) {
	var all []os.Signal
	for number := syscall.Signal(1); number <= lastSignal; number++ {
		if forwards(number) {
			all = append(all, number)
		}
	}
	received := make(chan os.Signal, len(all))
	signal.Notify(received, all...)
	return received, func() { signal.Stop(received) }
}

// forwards tells whether a signal is meant for the command: SIGCHLD tells of our own children, SIGURG is sent by the Go
// runtime to itself, and SIGPIPE is of our own writes.
func forwards(s os.Signal) bool {
	return s != syscall.SIGCHLD && s != syscall.SIGURG && s != syscall.SIGPIPE
}

// ends tells whether a signal ends a process that doesn't handle it. What ends an idle pod isn't always SIGTERM: images
// and pods can name another.
func ends(s os.Signal) bool {
	switch s {
	case syscall.SIGCONT, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGWINCH:
		return false
	default:
		return forwards(s)
	}
}
