// SPDX-License-Identifier: Apache-2.0

package scaler

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/journal"
	"github.com/paia-tech/hotstandbyjob/internal/protocol/externalscaler"
	"github.com/paia-tech/hotstandbyjob/internal/protocol/externalscaler/externalscalerconnect"
)

const (
	// look is how often an open stream looks whether its answer has changed; it looks into memory.
	look = time.Second
	// maxMessage has room for any metadata that an object can hold.
	maxMessage = 2 << 20
)

// Deps are where the numbers come from.
type Deps struct {
	// Pools knows the pools. One that doesn't exist is an error of which apierrors.IsNotFound is true.
	Pools interface {
		Get(ctx context.Context, pool types.NamespacedName) (*v1alpha1.HotStandbyJob, error)
	}
	// Waiting is how many pods launches wait for; nil where no launches are served.
	Waiting func(pool types.NamespacedName) int
	// Journal knows what was launched lately.
	Journal interface {
		Pool(name types.NamespacedName) journal.History
	}
	Clock clock.WithTicker
}

// New is what is served to KEDA.
func New(d Deps) http.Handler {
	_, handler := externalscalerconnect.NewExternalScalerHandler(&service{d}, connect.WithReadMaxBytes(maxMessage))
	return handler
}

type service struct{ Deps }

// IsActive says whether there is a reason to scale from nothing.
func (s *service) IsActive(ctx context.Context, ref *externalscaler.ScaledObjectRef) (*externalscaler.IsActiveResponse, error) {
	t, value, err := s.value(ctx, ref)
	if err != nil {
		return nil, err
	}
	return &externalscaler.IsActiveResponse{Result: t.Active(value)}, nil
}

// StreamIsActive says it now, and again when it changes.
func (s *service) StreamIsActive(ctx context.Context, ref *externalscaler.ScaledObjectRef, stream *connect.ServerStream[externalscaler.IsActiveResponse]) error {
	tick := s.Clock.NewTicker(look)
	defer tick.Stop()
	for said := (*externalscaler.IsActiveResponse)(nil); ; {
		now, err := s.IsActive(ctx, ref)
		if err != nil {
			return err
		}
		if said == nil || now.GetResult() != said.GetResult() {
			if err := stream.Send(now); err != nil {
				return err
			}
			said = now
		}
		select {
		case <-ctx.Done():
			return ended(ctx)
		case <-tick.C():
		}
	}
}

// GetMetricSpec says what the trigger's metric should be.
func (s *service) GetMetricSpec(ctx context.Context, ref *externalscaler.ScaledObjectRef) (*externalscaler.GetMetricSpecResponse, error) {
	t, _, err := s.value(ctx, ref) // a trigger that can't be answered for is better known at once
	if err != nil {
		return nil, err
	}
	return &externalscaler.GetMetricSpecResponse{MetricSpecs: []*externalscaler.MetricSpec{{
		MetricName: t.Name(), TargetSize: whole(t.Target), TargetSizeFloat: t.Target,
	}}}, nil
}

// GetMetrics says what the trigger's metric is.
func (s *service) GetMetrics(ctx context.Context, request *externalscaler.GetMetricsRequest) (*externalscaler.GetMetricsResponse, error) {
	t, value, err := s.value(ctx, request.GetScaledObjectRef())
	if err != nil {
		return nil, err
	}
	if got := request.GetMetricName(); got != t.Name() {
		return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("the metric is %q: it must be %q, which is what this trigger's metadata asks for", got, t.Name()))
	}
	return &externalscaler.GetMetricsResponse{MetricValues: []*externalscaler.MetricValue{{
		MetricName: t.Name(), MetricValue: whole(value), MetricValueFloat: value,
	}}}, nil
}

// value is a trigger, and its metric of its pool.
func (s *service) value(ctx context.Context, ref *externalscaler.ScaledObjectRef) (Trigger, float64, error) {
	t, err := Parse(ref.GetScalerMetadata())
	if err != nil {
		return t, 0, connect.NewError(connect.CodeInvalidArgument, err)
	}
	name := types.NamespacedName{Namespace: ref.GetNamespace(), Name: t.Pool}
	h, err := s.Pools.Get(ctx, name)
	if apierrors.IsNotFound(err) {
		return t, 0, connect.NewError(connect.CodeNotFound, fmt.Errorf("metadata.%s is %q: it must be a HotStandbyJob in namespace %s, and there is none of that name, or not for this operator", fieldPool, t.Pool, name.Namespace))
	}
	if err != nil {
		return t, 0, connect.NewError(connect.CodeUnavailable, fmt.Errorf("read pool %s: %w", name, err))
	}
	if err := s.launches(t, h); err != nil {
		return t, 0, connect.NewError(connect.CodeFailedPrecondition, err)
	}
	p := Pool{Idle: h.Status.IdleCount, Busy: h.Status.BusyCount, Minutes: s.Journal.Pool(name).Minutes}
	if s.Waiting != nil {
		p.Waiting = s.Waiting(name)
	}
	return t, t.Value(p), nil
}

// launches refuses to tell of launches where there never are any: such a trigger would do nothing, for ever.
func (s *service) launches(t Trigger, h *v1alpha1.HotStandbyJob) error {
	if t.Metric == Idle || t.Metric == Busy {
		return nil
	}
	switch {
	case s.Waiting == nil:
		return fmt.Errorf("metadata.%s is %s: it must be idle or busy, since this operator serves no launches (--push=false)", fieldMetric, t.Metric)
	case h.Spec.Assignment != v1alpha1.AssignmentPush:
		return fmt.Errorf("metadata.%s is %s: it must be idle or busy, since no Job is launched in pool %s (assignment: Pull)", fieldMetric, t.Metric, h.Name)
	}
	return nil
}

// errStopping is the cause of the end of streams when the server stops.
var errStopping = errors.New("the operator is stopping, or leads no more: try again")

// ended is the error for a stream whose context is done.
func ended(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), errStopping) {
		return connect.NewError(connect.CodeUnavailable, errStopping)
	}
	return ctx.Err()
}
