// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Request is one request of a load.
type Request struct {
	// Index counts from 0.
	Index int
	// At is when it was due, from the beginning of the load.
	At time.Duration
	// Due is when that was. Latency is counted from here and not from when the request was made: one that the load's own
	// program, or a queue before it, held up would otherwise look fast.
	Due time.Time
}

// Offer makes each request of a schedule at its time, in a goroutine of its own, and returns when all have returned. Behind
// is how late it was at worst: where that is as long as what is measured, the machine was too small for the load's program.
func Offer(ctx context.Context, c clock.Clock, s Schedule, do func(context.Context, Request)) (behind time.Duration) {
	var requests sync.WaitGroup
	defer requests.Wait()
	began := c.Now()
	for i, at := range s {
		r := Request{Index: i, At: at, Due: began.Add(at)}
		if !await(ctx, c, r.Due) {
			return behind
		}
		behind = max(behind, c.Since(r.Due))
		requests.Go(func() { do(ctx, r) })
	}
	return behind
}

// await waits until a time, and says whether it came before the end.
func await(ctx context.Context, c clock.Clock, until time.Time) bool {
	wait := until.Sub(c.Now())
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := c.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return true
	}
}
