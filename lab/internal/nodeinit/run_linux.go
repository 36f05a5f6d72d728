// SPDX-License-Identifier: Apache-2.0

package nodeinit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/paia-tech/hotstandbyjob/lab/internal/registry"
)

const (
	firstPause = 100 * time.Millisecond
	longest    = 5 * time.Second
	// steady is how long a program must have run for its next end to count as its first.
	steady = 10 * time.Second
)

// Run does what the spec says until the context ends.
func Run(ctx context.Context, log *slog.Logger, spec Spec) error {
	if err := prepareMounts(spec); err != nil {
		return err
	}
	if err := serveImages(ctx, log, spec); err != nil {
		return err
	}
	reap := newReaper()
	go reap.run(ctx)
	for _, p := range spec.Programs {
		go keep(ctx, log.With("program", p.Name), func() (<-chan syscall.WaitStatus, error) { return launch(reap, spec, p) })
	}
	<-ctx.Done()
	return nil
}

func serveImages(ctx context.Context, log *slog.Logger, spec Spec) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", spec.Registry)
	if err != nil {
		return fmt.Errorf("serve images: %w", err)
	}
	server := &http.Server{Handler: registry.Handler(spec.Images), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			log.ErrorContext(ctx, "the image server ended", "error", err)
		}
	}()
	return nil
}

// keep starts a program again whenever it has ended, as the service manager of a machine does. One that ends at once is
// waited for longer each time.
func keep(ctx context.Context, log *slog.Logger, start func() (<-chan syscall.WaitStatus, error)) {
	pause := firstPause
	for ctx.Err() == nil {
		began := time.Now()
		done, err := start()
		if err != nil {
			log.ErrorContext(ctx, "cannot start", "error", err)
		} else {
			select {
			case <-ctx.Done():
				return
			case status := <-done:
				log.WarnContext(ctx, "ended, will be started again", "status", describe(status))
			}
		}
		if time.Since(began) > steady {
			pause = firstPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, longest)
	}
}

func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return status.Signal().String()
	}
	return fmt.Sprintf("exit code %d", status.ExitStatus())
}

func launch(reap *reaper, spec Spec, p Program) (<-chan syscall.WaitStatus, error) {
	output, err := os.OpenFile(p.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer func() { _ = output.Close() }()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", os.DevNull, err)
	}
	defer func() { _ = null.Close() }()
	return reap.start(p.Path, append([]string{p.Path}, p.Args...), &os.ProcAttr{
		Dir:   "/",
		Env:   []string{"PATH=" + spec.Path, "TMPDIR=" + tempDir, "HOME=/root"},
		Files: []*os.File{null, output, output},
	})
}
