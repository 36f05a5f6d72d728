// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

// State is what a worker does. The words are those of its Redis entry.
type State string

// A worker starts, idles, is busy, and ends; it can be told to idle again.
const (
	Starting State = "starting"
	Idle     State = "idle"
	Busy     State = "busy"
)

const (
	// Terminated is the exit code of a worker that was asked to end by SIGTERM, as a shell would report it.
	Terminated = 143
	// reportTime is how long telling others may take.
	reportTime = 3 * time.Second
	// retryTime is when it is tried again after a failure.
	retryTime = 500 * time.Millisecond
)

// Reporter tells others what the worker does.
type Reporter interface {
	// Report tells the state.
	Report(ctx context.Context, state State) error
	// Withdraw takes back what was told, since the worker ends.
	Withdraw(ctx context.Context) error
}

// order is what somebody outside wants: another state, or the end with an exit code.
type order struct {
	state State
	exit  int
	done  chan error
}

// Worker is the state machine; Run drives it.
type Worker struct {
	options Options
	clock   clock.Clock
	random  func() float64
	report  Reporter
	log     *slog.Logger

	state  atomic.Value // State: the server reads it
	orders chan order

	next  clock.Timer // what time does to the state; nil: nothing
	again clock.Timer // when the state is told again; nil: not
}

// New returns a worker that is not running yet.
func New(options Options, report Reporter, c clock.Clock, log *slog.Logger) *Worker {
	w := &Worker{options: options, clock: c, random: rand.Float64, report: report, log: log, orders: make(chan order)}
	w.state.Store(Starting)
	return w
}

// State is what the worker does at the moment.
func (w *Worker) State() State {
	state, _ := w.state.Load().(State)
	return state
}

// Run works until the end and returns the exit code.
func (w *Worker) Run(ctx context.Context) int {
	defer w.withdraw()
	_ = w.enter(ctx, Starting) // Logged, and told again.
	for {
		select {
		case <-ctx.Done():
			return Terminated
		case o := <-w.orders:
			if o.state == "" {
				o.done <- nil
				return o.exit
			}
			o.done <- w.enter(ctx, o.state)
		case <-channel(w.next):
			if w.State() == Busy {
				return w.options.Exit
			}
			_ = w.enter(ctx, map[State]State{Starting: Idle, Idle: Busy}[w.State()])
		case <-channel(w.again):
			_ = w.tell(ctx)
		}
	}
}

// Become tells the worker to change its state, and returns when it has told others.
func (w *Worker) Become(ctx context.Context, state State) error {
	return w.give(ctx, order{state: state})
}

// End tells the worker to end with a code.
func (w *Worker) End(ctx context.Context, code int) error { return w.give(ctx, order{exit: code}) }

func (w *Worker) give(ctx context.Context, o order) error {
	o.done = make(chan error, 1)
	select {
	case w.orders <- o:
		return <-o.done
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enter changes the state, says when the next change is due and tells others.
func (w *Worker) enter(ctx context.Context, state State) error {
	w.log.InfoContext(ctx, "state", "state", state)
	w.state.Store(state)
	after := map[State]time.Duration{Starting: w.options.Start, Idle: w.options.BusyAfter, Busy: w.options.BusyFor}[state]
	w.next = w.replace(w.next, w.jittered(after), state == Starting || after > 0)
	return w.tell(ctx)
}

func (w *Worker) tell(ctx context.Context) error {
	told, cancel := context.WithTimeout(ctx, reportTime)
	defer cancel()
	err := w.report.Report(told, w.State())
	if err != nil && !errors.Is(err, context.Canceled) {
		w.log.WarnContext(ctx, "cannot tell others, trying again", "error", err)
	}
	pause, wanted := w.options.Heartbeat, w.options.BusyBy == ByRedis
	if err != nil {
		pause, wanted = retryTime, true
	}
	w.again = w.replace(w.again, pause, wanted)
	return err
}

// replace stops a timer and returns the one that follows it, if one is wanted.
func (w *Worker) replace(old clock.Timer, after time.Duration, wanted bool) clock.Timer {
	if old != nil {
		old.Stop()
	}
	if !wanted {
		return nil
	}
	return w.clock.NewTimer(after)
}

func channel(t clock.Timer) <-chan time.Time {
	if t == nil {
		return nil
	}
	return t.C()
}

func (w *Worker) jittered(d time.Duration) time.Duration {
	if !w.options.Jitter {
		return d
	}
	return time.Duration(float64(d) * (0.5 + w.random()))
}

// withdraw has a time of its own: the worker's may be over.
func (w *Worker) withdraw() {
	ctx, cancel := context.WithTimeout(context.Background(), reportTime)
	defer cancel()
	if err := w.report.Withdraw(ctx); err != nil {
		w.log.WarnContext(ctx, "cannot take back what was told", "error", err)
	}
}
