// SPDX-License-Identifier: Apache-2.0

package run

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
)

const (
	tries    = 20                     // to open a stream: the kubelet may not know yet that the container runs
	interval = 100 * time.Millisecond // between them
)

// source is the server's side of logs.
type source = func(pod string, o *corev1.PodLogOptions) *rest.Request

// logs shows what containers write.
type logs struct {
	source    source
	container string
	prefixed  bool // each line begins with its pod's name
	broken    chan struct{}
	mark      func(string) // takes note of when something was reached

	wait sync.WaitGroup
	mu   sync.Mutex // of out
	out  io.Writer
	once sync.Once
}

func newLogs(s source, container string, out io.Writer, prefixed bool) *logs {
	return &logs{source: s, container: container, prefixed: prefixed, out: out, broken: make(chan struct{}), mark: func(string) {}}
}

// follow shows a container's run from here to its end.
func (l *logs) follow(ctx context.Context, s stream) {
	l.wait.Go(func() {
		options := &corev1.PodLogOptions{Container: l.container, Follow: true, SinceTime: s.since}
		for range tries {
			from, err := l.source(s.pod, options).Stream(ctx)
			if err == nil {
				l.mark("its logs are open")
				l.copy(from, s.pod)
				_ = from.Close()
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(interval):
			}
		}
	})
}

// done is closed when all that is followed has come to its end.
func (l *logs) done() <-chan struct{} {
	done := make(chan struct{})
	go func() { l.wait.Wait(); close(done) }()
	return done
}

func (l *logs) copy(from io.Reader, pod string) {
	if !l.prefixed {
		if _, err := io.Copy(writer{l}, from); errors.Is(err, errBroken) {
			l.once.Do(func() { close(l.broken) })
		}
		return
	}
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			if err != nil {
				line += "\n" // the last line of a pod doesn't run into another's
			}
			if _, failed := (writer{l}).Write([]byte("[" + pod + "] " + line)); failed != nil {
				l.once.Do(func() { close(l.broken) })
				return
			}
		}
		if err != nil {
			return
		}
	}
}

var errBroken = errors.New("nobody reads the output")

// writer writes for one of several at a time.
type writer struct{ logs *logs }

func (w writer) Write(p []byte) (int, error) {
	w.logs.mu.Lock()
	defer w.logs.mu.Unlock()
	w.logs.mark("its first line is there")
	n, err := w.logs.out.Write(p)
	if err != nil {
		err = errBroken
	}
	return n, err
}
