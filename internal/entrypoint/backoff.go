// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"context"
	"time"
)

const (
	shortestWait = 100 * time.Millisecond
	longestWait  = 15 * time.Second
)

// Backoff is how long to wait after a number of failures in a row, with a random number from [0, 1). It is drawn from the
// whole range and not from around its end: when a gateway goes, all pods of the cluster begin to wait at the same moment.
func Backoff(failures int, random float64) time.Duration {
	most := longestWait
	if failures < 6 {
		most = min(4*shortestWait<<failures, longestWait)
	}
	return shortestWait + time.Duration(random*float64(most-shortestWait))
}

// sleep waits, and tells whether it did to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
