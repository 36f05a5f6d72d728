// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"sync"
	"sync/atomic"
)

// mostAtOnce bounds the requests under way for one pool.
const mostAtOnce = 32

// slowStart calls f with 0 to n-1, in parallel and in order, in batches of 1, 2, 4 … until one fails. It returns how many
// were called.
func slowStart(n int, f func(i int) error) int {
	done := 0
	for batch := 1; done < n; batch = min(2*batch, mostAtOnce) {
		size := min(batch, n-done)
		var (
			wait   sync.WaitGroup
			failed atomic.Bool
		)
		for i := range size {
			wait.Go(func() {
				if f(done+i) != nil {
					failed.Store(true)
				}
			})
		}
		wait.Wait()
		done += size
		if failed.Load() {
			break
		}
	}
	return done
}
