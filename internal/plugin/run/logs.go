// SPDX-License-Identifier: Apache-2.0

package run

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
)

const (
	tries    = 20                     // to open a stream: the kubelet may not know yet that the container runs
	interval = 100 * time.Millisecond // between them
	tick     = 10 * time.Millisecond  // between looks at what is shown
	little   = 1 << 20                // bytes that may be read twice
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

	streams []*followed
	mu      sync.Mutex // of out
	out     io.Writer
	once    sync.Once
}

// followed is one run of a container.
type followed struct {
	pod     string
	options corev1.PodLogOptions
	shown   atomic.Int64  // bytes that came through it and are written
	over    chan struct{} // closed at the end of the stream
}

func newLogs(s source, container string, out io.Writer, prefixed bool) *logs {
	return &logs{source: s, container: container, prefixed: prefixed, out: out, broken: make(chan struct{}), mark: func(string) {}}
}

// follow shows a container's run from here to its end.
func (l *logs) follow(ctx context.Context, s stream) {
	f := &followed{pod: s.pod, options: corev1.PodLogOptions{Container: l.container, SinceTime: s.since}, over: make(chan struct{})}
	l.streams = append(l.streams, f)
	following := f.options
	following.Follow = true
	go func() {
		defer close(f.over)
		for range tries {
			from, err := l.source(f.pod, &following).Stream(ctx)
			if err == nil {
				l.mark("its logs are open")
				l.copy(from, f)
				_ = from.Close()
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(interval):
			}
		}
	}()
}

// shown is closed when all that was written is shown. The containers have ended.
func (l *logs) shown(ctx context.Context) <-chan struct{} {
	var wait sync.WaitGroup
	for _, f := range l.streams {
		wait.Go(func() { l.await(ctx, f) })
	}
	all := make(chan struct{})
	go func() { wait.Wait(); close(all) }()
	return all
}

// await returns when a stream has ended, or as much of it is shown as there is to read: kubelets end a stream up to a
// second after its container.
func (l *logs) await(ctx context.Context, f *followed) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	size := make(chan int64, 1)
	go func() {
		if n, err := l.size(ctx, f); err == nil && n < little {
			size <- n
		}
	}()
	select {
	case <-f.over:
	case n := <-size:
		for f.shown.Load() != n {
			select {
			case <-f.over:
				return
			case <-time.After(tick):
			}
		}
	}
}

// size is how many bytes a container that has ended wrote, up to little.
func (l *logs) size(ctx context.Context, f *followed) (int64, error) {
	options := f.options
	options.LimitBytes = new(int64(little))
	from, err := l.source(f.pod, &options).Stream(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = from.Close() }()
	return io.Copy(io.Discard, from)
}

func (l *logs) copy(from io.Reader, f *followed) {
	if !l.prefixed {
		if _, err := io.Copy(writer{l, f}, from); errors.Is(err, errBroken) {
			l.once.Do(func() { close(l.broken) })
		}
		return
	}
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			read := len(line)
			if err != nil {
				line += "\n" // the last line of a pod doesn't run into another's
			}
			if failed := l.write([]byte("[" + f.pod + "] " + line)); failed != nil {
				l.once.Do(func() { close(l.broken) })
				return
			}
			f.shown.Add(int64(read))
		}
		if err != nil {
			return
		}
	}
}

var errBroken = errors.New("nobody reads the output")

// writer shows what comes through one stream, as it is.
type writer struct {
	logs *logs
	from *followed
}

func (w writer) Write(p []byte) (int, error) {
	if err := w.logs.write(p); err != nil {
		return 0, err
	}
	w.from.shown.Add(int64(len(p)))
	return len(p), nil
}

// write writes for one stream at a time.
func (l *logs) write(p []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mark("its first line is there")
	if _, err := l.out.Write(p); err != nil {
		return errBroken
	}
	return nil
}
