// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"connectrpc.com/connect"

	"github.com/paia-tech/hotstandbyjob/internal/access"
	"github.com/paia-tech/hotstandbyjob/internal/protocol/standbyv1"
	"github.com/paia-tech/hotstandbyjob/internal/standby"
)

// standbyService is for pods. Which pod calls is told by its token and by nothing else.
type standbyService struct {
	registry *standby.Registry
	reviewer *access.Reviewer
	streams  *limiter
	counted  func(change int) // is told of streams that are opened and closed
	log      *slog.Logger
}

// Attach keeps a stream open to a pod until its launch was sent and it hangs up.
func (s *standbyService) Attach(ctx context.Context, r *standbyv1.AttachRequest, stream *connect.ServerStream[standbyv1.AttachResponse]) error {
	unhurried(ctx)
	pod := callingPod(ctx)
	leave, err := s.streams.enter("", "streams of pods")
	if err != nil {
		return err
	}
	defer leave()
	s.counted(1)
	defer s.counted(-1)
	attached, err := s.registry.Attach(pod, addressOf(ctx), activityOf(r.GetActivity()))
	if err != nil {
		return refused(err)
	}
	defer attached.Close()
	// What the pod reports meanwhile, that its launch has started, needs no review then.
	defer s.reviewer.Keep(callerOf(ctx))()
	s.log.Debug("attached", "namespace", pod.Namespace, "pod", pod.Name)
	if err := stream.Send(&standbyv1.AttachResponse{}); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ended(ctx)
		case payload, open := <-attached.Payloads():
			if !open {
				return replaced(attached.Err())
			}
			attached.Sending()
			if err := stream.Send(&standbyv1.AttachResponse{Payload: payload}); err != nil {
				return err
			}
		}
	}
}

// replaced is the error for a stream that the registry has ended.
func replaced(why error) error {
	switch {
	case errors.Is(why, standby.ErrForgotten):
		return connect.NewError(connect.CodeNotFound, why)
	case errors.Is(why, standby.ErrElsewhere):
		return refused(why)
	default:
		return connect.NewError(connect.CodeAborted, why)
	}
}

// refused is the error for a pod that isn't the one whose token it has.
func refused(why error) error {
	if errors.Is(why, standby.ErrElsewhere) {
		return connect.NewError(connect.CodePermissionDenied, fmt.Errorf("%w; see the operator's flag --gateway-any-address", why))
	}
	if errors.Is(why, standby.ErrDetached) {
		return connect.NewError(connect.CodeUnavailable, why) // it may try again
	}
	return connect.NewError(connect.CodeFailedPrecondition, why)
}

// Report takes note of what a pod says.
func (s *standbyService) Report(ctx context.Context, r *standbyv1.ReportRequest) (*standbyv1.ReportResponse, error) {
	if err := s.registry.Report(callingPod(ctx), addressOf(ctx), activityOf(r.GetActivity())); err != nil {
		return nil, refused(err)
	}
	return &standbyv1.ReportResponse{}, nil
}

// activityOf is an activity as the registry has it.
func activityOf(a *standbyv1.Activity) standby.Activity {
	activity := standby.Activity{LaunchID: a.GetLaunchId()}
	if n := a.GetStartedUnixNano(); n > 0 {
		activity.Started = time.Unix(0, n)
	}
	switch a.GetWork() {
	case standbyv1.Work_WORK_IDLE:
		activity.Work = standby.WorkIdle
	case standbyv1.Work_WORK_BUSY:
		activity.Work = standby.WorkBusy
	case standbyv1.Work_WORK_UNSPECIFIED:
	}
	return activity
}
