// SPDX-License-Identifier: Apache-2.0

// Package trace makes a trace of each launch: of its admission by the webhook, and of its phases. What it writes is what
// others have measured.
package trace

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/internal/journal"
)

// service is the name under which traces are found; OTEL_SERVICE_NAME is another one.
const service = "hotstandbyjob-operator"

// Tracer makes traces. The nil Tracer makes none.
type Tracer struct {
	provider  *sdktrace.TracerProvider
	tracer    oteltrace.Tracer
	clock     clock.PassiveClock
	lastWords time.Duration // how long it may take at its end to send what is left
}

// New sends traces by OTLP over gRPC to an endpoint: host:port or http://host:port without TLS, https://host:port with it.
// Nothing is connected yet, and an endpoint that doesn't answer keeps nobody waiting. The variables of OpenTelemetry's
// SDK hold as well: OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER, OTEL_RESOURCE_ATTRIBUTES and the like.
func New(ctx context.Context, endpoint string, c clock.PassiveClock) (*Tracer, error) {
	if !strings.Contains(endpoint, "://") {
		endpoint = "http://" + endpoint
	}
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(endpoint))
	if err != nil {
		return nil, fmt.Errorf("send traces to %s: %w", endpoint, err)
	}
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", service)), resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, fmt.Errorf("describe the operator in traces: %w", err)
	}
	return To(c, sdktrace.WithBatcher(exporter), sdktrace.WithResource(about)), nil
}

// To makes traces with a provider of these options.
func To(c clock.PassiveClock, options ...sdktrace.TracerProviderOption) *Tracer {
	provider := sdktrace.NewTracerProvider(options...)
	return &Tracer{provider: provider, tracer: provider.Tracer("github.com/paia-tech/hotstandbyjob"), clock: c, lastWords: 5 * time.Second}
}

// NeedLeaderElection says that all replicas make traces: each answers the webhook's requests.
func (t *Tracer) NeedLeaderElection() bool { return false }

// Start sends what is left when ctx is done.
func (t *Tracer) Start(ctx context.Context) error {
	<-ctx.Done()
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.lastWords)
	defer cancel()
	_ = t.provider.Shutdown(bounded) // what the collector doesn't take any more is lost, which is no reason to end badly
	return nil
}

// Admission begins the span of a Job's admission, which belongs to the trace of a traceparent if there is one. end ends it,
// and returns the traceparent of what follows; a span that isn't ended is none.
func (t *Tracer) Admission(namespace, job, parent string) (end func() string) {
	ctx, span := t.tracer.Start(within(parent), "admission", oteltrace.WithSpanKind(oteltrace.SpanKindServer),
		oteltrace.WithTimestamp(t.clock.Now()), oteltrace.WithAttributes(attribute.String("k8s.namespace.name", namespace), attribute.String("k8s.job.name", job)))
	return func() string {
		span.End(oteltrace.WithTimestamp(t.clock.Now()))
		carrier := propagation.MapCarrier{}
		propagation.TraceContext{}.Inject(ctx, carrier)
		return carrier["traceparent"]
	}
}

// within is a context in the trace of a traceparent. One that can't be read is none.
func within(parent string) context.Context {
	return propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": parent})
}

// Launch makes the spans of a launch that has started, or was rejected. It returns the ID of their trace, or nothing if it
// isn't one that is kept.
func (t *Tracer) Launch(l journal.Launch, parent string) (id string) {
	if t == nil {
		return ""
	}
	ctx, span := t.tracer.Start(within(parent), "launch", oteltrace.WithTimestamp(l.Seen), oteltrace.WithAttributes(attributes(l)...))
	at := l.Seen
	phase := func(name string, d time.Duration) {
		_, child := t.tracer.Start(ctx, name, oteltrace.WithTimestamp(at))
		at = at.Add(d)
		child.End(oteltrace.WithTimestamp(at))
	}
	phase("queue", l.Queue)
	switch l.Start {
	case journal.Rejected:
		span.SetStatus(codes.Error, "no pod of the pool was idle")
	case journal.Warm, journal.Waited:
		phase("claim", l.Claim)
		phase("deliver", l.Deliver)
		phase("start", l.Begin)
	case journal.Cold:
		phase("start", l.Begin)
	}
	span.End(oteltrace.WithTimestamp(l.Started))
	if !span.SpanContext().IsSampled() {
		return ""
	}
	return span.SpanContext().TraceID().String()
}

func attributes(l journal.Launch) []attribute.KeyValue {
	out := []attribute.KeyValue{
		attribute.String("k8s.namespace.name", l.Pool.Namespace), attribute.String("hsj.pool", l.Pool.Name),
		attribute.String("k8s.job.name", l.Job), attribute.String("hsj.start", string(l.Start)),
	}
	if l.Pod != "" {
		out = append(out, attribute.String("k8s.pod.name", l.Pod))
	}
	if l.Reason != "" {
		out = append(out, attribute.String("hsj.reason", l.Reason))
	}
	return out
}
