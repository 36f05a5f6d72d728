// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command nodeinit is process 1 of a lab's node. Its argument is the file that says what to do.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/paia-tech/hotstandbyjob/lab/internal/nodeinit"
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(log); err != nil {
		log.Error("the node cannot run", "error", err)
		os.Exit(1)
	}
}

func run(log *slog.Logger) error {
	if len(os.Args) != 2 || os.Getpid() != 1 {
		return fmt.Errorf("usage: nodeinit SPEC.json, as process 1 of a namespace: the lab starts it")
	}
	raw, err := os.ReadFile(os.Args[1])
	if err != nil {
		return fmt.Errorf("read what to do: %w", err)
	}
	var spec nodeinit.Spec
	if err := json.Unmarshal(raw, &spec); err != nil {
		return fmt.Errorf("read what to do from %s: %w", os.Args[1], err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return nodeinit.Run(ctx, log, spec)
}
