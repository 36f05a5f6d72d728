// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"connectrpc.com/connect"

	"github.com/paia-tech/hotstandbyjob/client/launcherv1"
)

// UnknownExitCode is that of a Job that failed before any of its pods had ended.
const UnknownExitCode = -1

// Launch is a Job that was made, and the stream of what becomes of it. It must be closed, or waited for to its end.
type Launch struct {
	client  *Client
	request *launcherv1.LaunchRequest
	ctx     context.Context // of the stream, which lasts longer than the call that has opened it
	cancel  context.CancelFunc
	stream  *connect.ServerStreamForClient[launcherv1.LaunchResponse]
	created *launcherv1.Created
	seen    map[event]bool
	over    bool
}

// event is what happened to a pod, so that it isn't told twice when the stream had to be opened again.
type event struct{ kind, pod string }

// Job is the Job's name.
func (l *Launch) Job() string { return l.created.GetJob() }

// UID is the Job's UID.
func (l *Launch) UID() string { return l.created.GetUid() }

// Repeated says that the Job was made by an earlier Launch with the same request key.
func (l *Launch) Repeated() bool { return l.created.GetRepeatedRequest() }

// Close ends the stream. It doesn't end the Job: see Client.Cancel.
func (l *Launch) Close() error {
	l.over = true
	l.cancel()
	if l.stream == nil {
		return nil
	}
	_ = l.stream.Close() // what it would say is that it was cancelled
	return nil
}

// open opens the stream, and waits until the Job exists.
func (l *Launch) open() error {
	stream, err := l.client.launcher.Launch(l.ctx, l.request)
	if err != nil {
		return err
	}
	if !stream.Receive() {
		return errors.Join(endOf(stream), stream.Close())
	}
	created := stream.Msg().GetCreated()
	if created == nil {
		return errors.Join(connect.NewError(connect.CodeInternal, errors.New("the gateway didn't say which Job it has made")), stream.Close())
	}
	l.stream = stream
	if l.created == nil {
		l.created = created
	}
	return nil
}

// endOf is why a stream has ended, which is an error where it hasn't told how the Job has.
func endOf(stream *connect.ServerStreamForClient[launcherv1.LaunchResponse]) error {
	if err := stream.Err(); err != nil {
		return err
	}
	return connect.NewError(connect.CodeUnavailable, io.ErrUnexpectedEOF)
}

// Events tells what happens to the Job and its pods, each once, until the Job has ended, which is the last event, or until
// there is an error, which is then the last pair. A stream that breaks is opened again without notice.
func (l *Launch) Events() iter.Seq2[*launcherv1.LaunchResponse, error] {
	return func(yield func(*launcherv1.LaunchResponse, error) bool) {
		for !l.over {
			e, err := l.next()
			if err != nil {
				_ = l.Close()
				yield(nil, err)
				return
			}
			if e.GetFinished() != nil {
				_ = l.Close()
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// next is the next event that wasn't told yet.
func (l *Launch) next() (*launcherv1.LaunchResponse, error) {
	for {
		for l.stream.Receive() {
			e := l.stream.Msg()
			if k := keyOf(e); k == (event{}) || !l.seen[k] {
				l.seen[k] = true
				return e, nil
			}
		}
		if err := endOf(l.stream); !retryable(err) {
			return nil, fmt.Errorf("job %s: %w", l.Job(), err)
		}
		_ = l.stream.Close()
		if err := l.client.retry(l.ctx, l.reopen); err != nil {
			return nil, fmt.Errorf("job %s: %w", l.Job(), err)
		}
	}
}

// reopen opens the stream of a Job that exists. It mustn't make the Job anew, should it be gone by now.
func (l *Launch) reopen() error {
	is, err := l.client.launcher.Get(l.ctx, &launcherv1.GetRequest{Namespace: l.request.GetNamespace(), Job: l.Job()})
	if err != nil {
		return err
	}
	if is.GetUid() != l.UID() {
		return connect.NewError(connect.CodeNotFound, errors.New("there is another Job of that name"))
	}
	return l.open()
}

// keyOf is what an event is told apart by; none for those that may be told again.
func keyOf(e *launcherv1.LaunchResponse) event {
	switch of := e.GetEvent().(type) {
	case *launcherv1.LaunchResponse_Bound:
		return event{"bound", of.Bound.GetPod()}
	case *launcherv1.LaunchResponse_Started:
		return event{"started", of.Started.GetPod()}
	case *launcherv1.LaunchResponse_PodFinished:
		return event{"finished", of.PodFinished.GetPod()}
	default:
		return event{}
	}
}

// Wait waits until the Job has ended, and returns its exit code: 0 if it has succeeded, and else that of the pod that failed
// first. It is an error if the Job has failed and no pod says why, or if how it has ended isn't known.
func (l *Launch) Wait() (exitCode int, err error) {
	for e, err := range l.Events() {
		if err != nil {
			return UnknownExitCode, err
		}
		f := e.GetFinished()
		switch {
		case f == nil:
		case f.GetSucceeded():
			return 0, nil
		case f.GetExitCode() <= 0:
			return UnknownExitCode, fmt.Errorf("job %s has failed: %s: %s", l.Job(), f.GetReason(), f.GetMessage())
		default:
			return int(f.GetExitCode()), nil
		}
	}
	return UnknownExitCode, fmt.Errorf("job %s: the launch was closed", l.Job())
}
