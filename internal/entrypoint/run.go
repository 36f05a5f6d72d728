// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/paia-tech/hotstandbyjob/internal/protocol"
)

// lastReport is how long the report of a launch may keep a container whose command has ended: it may be faster than the report,
// without which nobody knows when it began, or that it did.
const lastReport = time.Second

// Deps are what the entrypoint uses of the world around it, besides processes and files.
type Deps struct {
	Now     func() time.Time
	Random  func() float64 // from [0, 1)
	Log     *slog.Logger
	Environ []string
}

// entrypoint is one run of the program.
type entrypoint struct {
	config    Config
	deps      Deps
	processes *processes
	signals   <-chan os.Signal
	reporter  *reporter
	launches  chan string // has room for one payload: the first is run, and all others tell of the same launch
}

// Run does all of it, and returns what the container is to exit with. An error is why no command ran; it is left in the
// termination log, too.
func Run(ctx context.Context, c Config, d Deps) (code int, err error) {
	runtime.GOMAXPROCS(1)  // also ends the runtime's regular look at the number of processors
	debug.SetGCPercent(25) // a heap of 1 MiB at rest, not 4
	code, err = run(ctx, c, d)
	if ended, ok := errors.AsType[*signalError](err); ok {
		return ended.code(), nil
	}
	if err == nil {
		return code, nil
	}
	code = 1
	if exit, ok := errors.AsType[*exitError](err); ok {
		code = exit.code
	}
	leave(c.TerminationLog, err.Error())
	return code, err
}

func run(ctx context.Context, c Config, d Deps) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := c.Validate(); err != nil {
		return 0, err
	}
	e := &entrypoint{config: c, deps: d, reporter: newReporter(d.Random), launches: make(chan string, 1)}
	signals, stop := listen()
	defer stop()
	e.signals = signals
	var err error
	if e.processes, err = newProcesses(ctx); err != nil {
		return 0, err
	}
	if c.Pull {
		return e.pull(ctx)
	}
	return e.push(ctx)
}

// pull runs a workload that fetches its work by itself.
func (e *entrypoint) pull(ctx context.Context) (int, error) {
	if e.config.Socket != "" {
		if err := serve(ctx, e.config.Socket, e.reporter); err != nil {
			return 0, err
		}
	}
	started, err := e.processes.start(command{argv: e.config.Command, env: e.deps.Environ})
	if err != nil {
		return 0, err
	}
	if e.config.GatewayURL == "" {
		e.reporter.failed()
	} else {
		e.connect(ctx)
	}
	return e.supervise(started), nil
}

// push warms up, and runs the launch that comes.
func (e *entrypoint) push(ctx context.Context) (int, error) {
	if err := e.warmUp(); err != nil {
		return 0, err
	}
	waiting, heard := context.WithCancel(ctx)
	defer heard()
	go (&payloadFile{dir: e.config.LaunchDir, launch: e.hear, log: e.deps.Log}).run(waiting)
	disconnect := func() {}
	if e.config.GatewayURL != "" {
		disconnect = e.connect(ctx)
	}
	text, err := e.launch()
	if err != nil {
		return 0, err
	}
	heard()
	started, err := e.start(text)
	if err != nil {
		return 0, fmt.Errorf("launch: %w", err)
	}
	_, version := e.reporter.current()
	go func() {
		defer disconnect()
		e.reporter.await(ctx, func() bool { return e.reporter.taken >= version })
	}()
	code := e.supervise(started)
	if e.config.GatewayURL != "" {
		ctx, cancel := context.WithTimeout(ctx, lastReport)
		defer cancel()
		e.reporter.delivered(ctx, version)
	}
	return code, nil
}

// connect attaches to the gateway and reports to it, until the context ends or it is told to disconnect.
func (e *entrypoint) connect(ctx context.Context) (disconnect func()) {
	ctx, cancel := context.WithCancel(ctx)
	g := newGateway(e.config)
	stream := &attachment{open: g.attach, reporter: e.reporter, launch: e.hear, random: e.deps.Random, log: e.deps.Log}
	go func() {
		defer g.close()
		stream.run(ctx)
	}()
	go e.reporter.run(ctx, g.report)
	return cancel
}

// hear takes the first payload, by whichever way it comes.
func (e *entrypoint) hear(payload string) {
	select {
	case e.launches <- payload:
	default:
	}
}

// launch waits for the payload. A signal that would end an ordinary command ends the wait.
func (e *entrypoint) launch() (string, error) {
	for {
		select {
		case payload := <-e.launches:
			return payload, nil
		case s := <-e.signals:
			if ends(s) {
				return "", signalled(s)
			}
		}
	}
}

// start runs the launch's command; only then does it see to the report.
func (e *entrypoint) start(text string) (child, error) {
	payload, err := protocol.DecodePayload(text)
	if err != nil {
		return child{}, err
	}
	started, err := e.processes.start(commandOf(payload, e.deps.Environ))
	if err != nil {
		return child{}, fmt.Errorf("%s: %w", payload.ID, err)
	}
	e.reporter.change(activity{LaunchID: payload.ID, StartedUnixNano: e.deps.Now().UnixNano()})
	return started, nil
}

// supervise forwards signals to the command until it ends, and returns its exit code.
func (e *entrypoint) supervise(started child) int {
	for {
		select {
		case status := <-started.done:
			return exitCode(status)
		case s := <-e.signals:
			e.processes.signal(started, s)
		}
	}
}
