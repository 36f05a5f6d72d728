// SPDX-License-Identifier: Apache-2.0

package main

import (
	"syscall"
	"time"
)

// began is when the process began, written by its first instructions where it was linked with -ldflags="-E main.first": before
// those of main the Go runtime needs a millisecond of its own, which is none of what is measured.
var began syscall.Timespec

// beginning is when the process began, or when this function was called where that isn't known.
func beginning() time.Time {
	if began.Sec == 0 {
		return time.Now()
	}
	return time.Unix(began.Unix())
}
