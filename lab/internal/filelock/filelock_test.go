// SPDX-License-Identifier: Apache-2.0

package filelock

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

func TestOnlyOneHoldsTheLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "lock")
	var holders, rounds atomic.Int32
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			l, err := Acquire(t.Context(), path, nil)
			if err != nil {
				t.Error(err)
				return
			}
			if holders.Add(1) != 1 {
				t.Error("two hold the lock")
			}
			rounds.Add(1)
			holders.Add(-1)
			// A removed lock must not let in one who waits for the file that was removed.
			if i%2 == 0 {
				l.Remove()
			} else {
				l.Release()
			}
		})
	}
	group.Wait()
	if rounds.Load() != 8 {
		t.Errorf("%d held the lock, want 8", rounds.Load())
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l, err := Acquire(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	ctx, cancel := context.WithCancel(t.Context())
	told := 0
	_, err = Acquire(ctx, path, func() { told++; cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want that of the context", err)
	}
	if told != 1 {
		t.Errorf("told %d times that somebody else holds the lock, want once", told)
	}
}
