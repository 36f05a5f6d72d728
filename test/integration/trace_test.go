// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"encoding/hex"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/onsi/gomega"
	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// collector takes traces, as those do that keep them.
type collector struct {
	collectorv1.UnimplementedTraceServiceServer

	mu    sync.Mutex
	spans []*tracev1.Span
}

func (c *collector) Export(_ context.Context, r *collectorv1.ExportTraceServiceRequest) (*collectorv1.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range r.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			c.spans = append(c.spans, scope.GetSpans()...)
		}
	}
	return &collectorv1.ExportTraceServiceResponse{}, nil
}

// of are the spans of a trace, by name.
func (c *collector) of(id string) map[string]*tracev1.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	spans := map[string]*tracev1.Span{}
	for _, s := range c.spans {
		if hex.EncodeToString(s.GetTraceId()) == id {
			spans[s.GetName()] = s
		}
	}
	return spans
}

// A launch on the real node, in the trace of whoever made the Job, as a collector gets it.
func TestALaunchIsOneTraceAtTheCollector(t *testing.T) {
	t.Parallel()
	listen, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, server := &collector{}, grpc.NewServer()
	collectorv1.RegisterTraceServiceServer(server, c)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listen) })
	t.Cleanup(func() { server.Stop(); serving.Wait() })

	e := kit.New(t)
	e.NeedEntrypoint()
	e.PushOperator(func(o *config.Operator) { o.OTLPEndpoint = listen.Addr().String() })
	h := filledPool(e, kit.PushPool("game").Idle(1))
	const trace, caller = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	launch := kit.Launch("traced", h).Obj()
	launch.Annotations = map[string]string{v1alpha1.AnnotationTraceparent: "00-" + trace + "-" + caller + "-01"}
	e.Create(launch)
	awaitJob(e, "traced", batchv1.JobComplete)

	phases := []string{"queue", "claim", "deliver", "start"}
	e.Await("the collector has the launch's trace", func(g gomega.Gomega) {
		spans := c.of(trace)
		g.Expect(spans).To(gomega.HaveLen(1 + len(phases)))
		whole := spans["launch"]
		g.Expect(hex.EncodeToString(whole.GetParentSpanId())).To(gomega.Equal(caller))
		at := whole.GetStartTimeUnixNano()
		for _, name := range phases {
			g.Expect(spans).To(gomega.HaveKey(name))
			g.Expect(spans[name].GetParentSpanId()).To(gomega.Equal(whole.GetSpanId()))
			g.Expect(spans[name].GetStartTimeUnixNano()).To(gomega.Equal(at), "%s begins when the phase before it ends", name)
			at = spans[name].GetEndTimeUnixNano()
		}
		// Phases last by the monotonic clock, and the launch ends by the time of day.
		rest := time.Duration(whole.GetEndTimeUnixNano()) - time.Duration(at) //nolint:gosec // times of this century
		g.Expect(rest).To(gomega.BeNumerically("~", 0, time.Millisecond))
		about := map[string]string{}
		for _, a := range whole.GetAttributes() {
			about[a.GetKey()] = a.GetValue().GetStringValue()
		}
		g.Expect(about).To(gomega.HaveKeyWithValue("k8s.job.name", "traced"))
		g.Expect(about).To(gomega.HaveKeyWithValue("hsj.start", "warm"))
	})
}
