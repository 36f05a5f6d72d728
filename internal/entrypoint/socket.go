// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"time"
)

// deliverTimeout is how long the workload is kept waiting for the gateway's answer.
const deliverTimeout = 2 * time.Second

// serve lets the workload say on a Unix socket whether it is busy or idle, until the context ends.
func serve(ctx context.Context, socket string, r *reporter) error {
	// A container that is restarted finds the socket that it had before.
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("serve reports: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("serve reports: %w", err)
	}
	// The workload may have dropped to a user of its own. Whoever can see the socket is in this pod.
	if err := os.Chmod(socket, 0o666); err != nil {
		return errors.Join(fmt.Errorf("serve reports: %w", err), listener.Close())
	}
	server := &http.Server{Handler: handler(r), ReadHeaderTimeout: deliverTimeout, MaxHeaderBytes: 8 << 10}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() { _ = server.Serve(listener) }()
	return nil
}

// handler answers 204 to a report that the gateway has, and 202 to one that it will have when it can be reached again.
func handler(r *reporter) http.Handler {
	mux := http.NewServeMux()
	for path, says := range map[string]work{"/busy": workBusy, "/idle": workIdle} {
		report := func(w http.ResponseWriter, q *http.Request) {
			ctx, cancel := context.WithTimeout(q.Context(), deliverTimeout)
			defer cancel()
			if r.delivered(ctx, r.change(activity{Work: says})) {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			w.WriteHeader(http.StatusAccepted)
		}
		mux.HandleFunc("POST "+path, report)
		mux.HandleFunc("PUT "+path, report)
	}
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) {
		doing, _ := r.current()
		_, _ = io.WriteString(w, doing.Work.String()+"\n")
	})
	return mux
}
