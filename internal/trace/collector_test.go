// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"context"
	"net"
	"testing"

	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/paia-tech/hotstandbyjob/internal/journal"
)

// collector takes what is sent to it.
type collector struct {
	collectorv1.UnimplementedTraceServiceServer

	got chan *collectorv1.ExportTraceServiceRequest
}

func (c *collector) Export(_ context.Context, r *collectorv1.ExportTraceServiceRequest) (*collectorv1.ExportTraceServiceResponse, error) {
	c.got <- r
	return &collectorv1.ExportTraceServiceResponse{}, nil
}

func TestWhatIsLeftReachesTheCollectorAtTheEnd(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
	var config net.ListenConfig
	listen, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, server := &collector{got: make(chan *collectorv1.ExportTraceServiceRequest, 1)}, grpc.NewServer()
	collectorv1.RegisterTraceServiceServer(server, c)
	go func() { _ = server.Serve(listen) }()
	defer server.Stop()

	ctx, cancel := context.WithCancel(t.Context())
	tracer, err := New(ctx, listen.Addr().String(), clocktesting.NewFakePassiveClock(noon))
	if err != nil {
		t.Fatal(err)
	}
	tracer.Launch(journal.Launch{Pool: game, Job: "job", Start: journal.Warm, Seen: noon, Started: noon.Add(ms(5))}, "")
	cancel()
	if err := tracer.Start(ctx); err != nil {
		t.Fatal(err)
	}
	spans := (<-c.got).GetResourceSpans()[0]
	about := map[string]string{}
	for _, a := range spans.GetResource().GetAttributes() {
		about[a.GetKey()] = a.GetValue().GetStringValue()
	}
	if about["service.name"] != service || about["deployment.environment"] != "test" || len(spans.GetScopeSpans()[0].GetSpans()) != 5 {
		t.Errorf("the collector got %d spans of %v", len(spans.GetScopeSpans()[0].GetSpans()), about)
	}
}
