// SPDX-License-Identifier: Apache-2.0

// Command worker is the demo worker of HotStandbyJob: "worker run" idles, becomes busy, works and ends as its flags say
// (worker run -help); "worker cat FILE" succeeds if the file can be read, so that exec probes work without a shell.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/lab/internal/worker"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	code, err := command(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "worker:", err)
	}
	os.Exit(code)
}

func command(ctx context.Context, args []string) (int, error) {
	switch {
	case len(args) > 0 && args[0] == "run":
		return run(ctx, args[1:])
	case len(args) == 2 && args[0] == "cat":
		return cat(args[1])
	default:
		return 2, errors.New("usage: worker run [flags] | worker cat FILE")
	}
}

func cat(path string) (int, error) {
	file, err := os.Open(path)
	if err != nil {
		return 1, fmt.Errorf("cat: %w", err)
	}
	defer func() { _ = file.Close() }()
	if _, err := io.Copy(os.Stdout, file); err != nil {
		return 1, fmt.Errorf("cat: %w", err)
	}
	return 0, nil
}

func run(ctx context.Context, args []string) (int, error) {
	options, err := worker.Parse(args, os.Getenv)
	if err != nil {
		return 2, err
	}
	report, err := worker.NewReporter(options, clock.RealClock{}, os.Getenv)
	if err != nil {
		return 2, err
	}
	log := slog.New(slog.NewTextHandler(os.Stdout, nil))
	w := worker.New(options, report, clock.RealClock{}, log)
	if options.Listen != "" {
		server := &http.Server{Addr: options.Listen, Handler: w.Handler(), ReadHeaderTimeout: 5 * time.Second}
		go func() {
			if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
				log.Error("nobody can ask this worker", "error", err)
			}
		}()
		defer shutdown(server)
	}
	code := w.Run(ctx)
	log.Info("ending", "exitCode", code)
	return code, nil
}

// shutdown lets answers that are under way reach their clients.
func shutdown(server *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = server.Shutdown(ctx) // The worker ends anyway.
}
