// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"
)

const (
	// attachTimeout is how long the gateway may take to say that the pod is attached.
	attachTimeout = 10 * time.Second
	// WorthALine is how many failures in a row are told of: they take a minute. What is written here stands before what the
	// launch writes, and an operator that is upgraded, or whose leader has died, is back by then.
	WorthALine = 13
)

// attachment keeps a stream to the gateway open.
type attachment struct {
	open     func(context.Context, activity) (io.ReadCloser, error)
	reporter *reporter
	launch   func(payload string) // is called for each payload that the gateway sends
	random   func() float64
	log      *slog.Logger
}

// run attaches again and again, until the context ends. Each error may pass: the gateway moves, a token is renewed.
func (a *attachment) run(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; failures++ {
		attached, err := a.once(ctx)
		if attached {
			failures = 0
		}
		if failures+1 == WorthALine && !a.reporter.launched() { // none stands among what a launch writes
			a.log.Warn("the gateway can't be reached; trying again", "err", err)
		}
		if !sleep(ctx, Backoff(failures, a.random())) {
			return
		}
	}
}

// once attaches, and receives until the stream ends. It tells whether the gateway had the pod attached.
func (a *attachment) once(ctx context.Context) (attached bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	late := time.AfterFunc(attachTimeout, cancel)
	defer late.Stop()
	doing, version := a.reporter.current()
	stream, err := a.open(ctx, doing)
	if err != nil {
		return false, err
	}
	defer func() { _ = stream.Close() }()
	for {
		payload, err := receive(stream)
		if err != nil {
			return attached, fmt.Errorf("attach: %w", err)
		}
		if !attached {
			attached = true
			late.Stop()
			a.reporter.took(version)
		}
		if payload != "" {
			a.launch(payload)
		}
	}
}
