// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

func TestSlowStart(t *testing.T) {
	never := -1
	for name, tc := range map[string]struct {
		n, failing, want int
	}{
		"nothing": {0, never, 0},
		"one":     {1, never, 1},
		"all":     {100, never, 100},
		"the first fails: one was asked for (defect 3)": {100, 0, 1},
		"the second fails: its batch is finished":       {100, 1, 3},
		"the third fails":                         {100, 2, 3},
		"the fourth fails":                        {100, 3, 7},
		"one in the last batch, which is smaller": {5, 4, 5},
		"batches stop growing":                    {1000, 63, 95},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			seen := map[int]int{}
			got := slowStart(tc.n, func(i int) error {
				mu.Lock()
				defer mu.Unlock()
				seen[i]++
				if i == tc.failing {
					return errors.New("no")
				}
				return nil
			})
			want := map[int]int{}
			for i := range tc.want {
				want[i] = 1
			}
			if diff := cmp.Diff(want, seen); got != tc.want || diff != "" {
				t.Errorf("%d were called, want %d; which (-want +got):\n%s", got, tc.want, diff)
			}
		})
	}
}

// TestSlowStartIsParallel lets the calls of a batch wait until all of them are there.
func TestSlowStartIsParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var under atomic.Int32
		leave := make(chan struct{})
		batches := []int{1, 2, 4, 8, 16, 32, 32, 5}
		done := make(chan int)
		go func() {
			done <- slowStart(100, func(int) error {
				under.Add(1)
				<-leave
				under.Add(-1)
				return nil
			})
		}()
		for _, size := range batches {
			synctest.Wait()
			if got := int(under.Load()); got != size {
				t.Fatalf("%d calls at once, want %d", got, size)
			}
			for range size {
				leave <- struct{}{}
			}
		}
		if got := <-done; got != 100 {
			t.Errorf("%d were called, want 100", got)
		}
	})
}
