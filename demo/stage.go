// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync"
	"time"

	"github.com/paia-tech/hotstandbyjob/demo/internal/script"
	"github.com/paia-tech/hotstandbyjob/demo/internal/track"
	"github.com/paia-tech/hotstandbyjob/demo/internal/view"
)

// stage shows a story while it is told.
type stage struct {
	terminal *view.Terminal
	tracker  *track.Tracker
	recorder view.Recorder

	mutex   sync.Mutex
	chapter view.Chapter
	model   view.Model
}

// tell takes what is going on; the story calls it from its own goroutine.
func (s *stage) tell(c view.Chapter) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.chapter = c
}

// play shows the story until it ends.
func (s *stage) play(ctx context.Context, story func(context.Context) (script.Result, error)) (script.Result, error) {
	var (
		result script.Result
		err    error
	)
	done := make(chan struct{})
	go func() {
		defer close(done)
		result, err = story(ctx)
	}()
	defer s.terminal.Leave()
	started := time.Now()
	tick := time.NewTicker(s.terminal.Every())
	defer tick.Stop()
	for {
		select {
		case <-done:
			s.show(time.Since(started))
			return result, err
		case <-tick.C:
			s.show(time.Since(started))
		}
	}
}

func (s *stage) show(elapsed time.Duration) {
	s.mutex.Lock()
	s.model.Chapter = s.chapter
	s.mutex.Unlock()
	s.model.Add(s.tracker.Pools(), elapsed)
	s.terminal.Show(&s.model)
	s.recorder.Show(&s.model)
}
