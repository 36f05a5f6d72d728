// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/internal/protocol"
	"github.com/paia-tech/hotstandbyjob/internal/protocol/standbyv1"
	"github.com/paia-tech/hotstandbyjob/internal/protocol/standbyv1/standbyv1connect"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

var sample = regexp.MustCompile(`(?m)^(hotstandbyjob_\w+)(?:\{(.*)\})? (\S+)$`)

// scrape reads an operator's metrics: of pools and launches those of the namespace, without that label.
func scrape(e *kit.Env, g gomega.Gomega, address string) map[string]float64 {
	request, err := http.NewRequestWithContext(e.T.Context(), http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	g.Expect(err).NotTo(gomega.HaveOccurred())
	response, err := http.DefaultClient.Do(request)
	g.Expect(err).NotTo(gomega.HaveOccurred())
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	g.Expect(err).NotTo(gomega.HaveOccurred())
	found, own := map[string]float64{}, `namespace="`+e.Namespace+`",`
	for _, m := range sample.FindAllStringSubmatch(string(text), -1) {
		labels := m[2]
		if strings.Contains(labels, "namespace=") && !strings.Contains(labels, own) {
			continue // of another operator in this process
		}
		value, err := strconv.ParseFloat(m[3], 64)
		g.Expect(err).NotTo(gomega.HaveOccurred())
		found[m[1]+"{"+strings.Replace(labels, own, "", 1)+"}"] = value
	}
	return found
}

// standIn is the entrypoint of a simulated pod: it attaches, and says of a launch that it has started it.
func standIn(e *kit.Env, url string, p *corev1.Pod, wait *sync.WaitGroup) {
	e.T.Helper()
	doer := trusting([]byte(p.Annotations[v1alpha1.AnnotationGatewayCA]))
	token := requestToken(e, "default", authenticationv1.TokenRequestSpec{
		Audiences:      []string{v1alpha1.TokenAudience},
		BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: p.Name, UID: p.UID},
	})
	call := func(ctx context.Context) context.Context {
		ctx, info := connect.NewClientContext(ctx)
		info.RequestHeader().Set("Authorization", "Bearer "+token)
		return ctx
	}
	c := standbyv1connect.NewStandbyClient(doer, url)
	stream, err := c.Attach(call(e.T.Context()), &standbyv1.AttachRequest{})
	if err != nil || !stream.Receive() {
		e.T.Fatalf("attach as pod %s: %v", p.Name, err)
	}
	wait.Go(func() {
		defer doer.CloseIdleConnections()
		defer func() { _ = stream.Close() }()
		if !stream.Receive() {
			return
		}
		payload, err := protocol.DecodePayload(stream.Msg().GetPayload())
		if err != nil {
			e.T.Errorf("read the payload of pod %s: %v", p.Name, err)
			return
		}
		_, err = c.Report(call(e.T.Context()), &standbyv1.ReportRequest{Activity: &standbyv1.Activity{LaunchId: payload.ID, StartedUnixNano: time.Now().UnixNano()}})
		if err != nil {
			e.T.Errorf("report as pod %s: %v", p.Name, err)
		}
	})
}

// Launches on simulated nodes, warm and cold, and what the metrics say of them.
func TestMetricsOfLaunches(t *testing.T) {
	t.Parallel()
	e := kit.New(t)
	url, metrics := "", e.FreeAddress()
	e.PushOperator(func(c *config.Operator) {
		url, c.Push.GatewayAnyAddress = c.Push.GatewayURL, true
		c.MetricsAddress, c.MetricsInsecure, c.PricePerPodHour = metrics, true, 36
	})
	h := filledPool(e, kit.PushPool("game").Simulated().Idle(2).Max(3))
	var wait sync.WaitGroup
	t.Cleanup(wait.Wait) // after the context of the test has ended
	for _, p := range e.Pods("game") {
		standIn(e, url, &p, &wait)
	}

	e.Create(kit.Launch("warm", h).Args("x").Obj())
	e.Create(kit.Launch("cold", h).Spec(func(s *batchv1.JobSpec) { s.Template.Spec.Containers[0].Image = "other:1" }).Obj())
	e.Create(kit.Launch("second", h).Obj())
	e.Await("all are counted", func(g gomega.Gomega) {
		got := scrape(e, g, metrics)
		for series, want := range map[string]float64{
			`hotstandbyjob_launches_total{pool="game",reason="",start="warm"}`:         2,
			`hotstandbyjob_launches_total{pool="game",reason="Differs",start="cold"}`:  1,
			`hotstandbyjob_launches_total{pool="game",reason="NoneIdle",start="cold"}`: 0,
			`hotstandbyjob_launch_duration_seconds_count{pool="game"}`:                 2,
			`hotstandbyjob_pool_units{pool="game",state="busy"}`:                       2,
			`hotstandbyjob_pool_units{pool="game",state="idle"}`:                       1,
			`hotstandbyjob_pool_idle_target{pool="game"}`:                              2,
			`hotstandbyjob_pool_desired_units{pool="game"}`:                            3,
			`hotstandbyjob_pool_missing_units{pool="game"}`:                            0,
			`hotstandbyjob_pool_waiting_pods{pool="game"}`:                             0,
			`hotstandbyjob_standby_lead_time_seconds_count{pool="game"}`:               3,
		} {
			g.Expect(got).To(gomega.HaveKeyWithValue(series, want))
		}
		for _, series := range []string{ // those of the process, which other tests add to
			`hotstandbyjob_launch_phase_duration_seconds_count{phase="queue"}`, `hotstandbyjob_launch_phase_duration_seconds_count{phase="claim"}`,
			`hotstandbyjob_launch_phase_duration_seconds_count{phase="deliver"}`, `hotstandbyjob_launch_phase_duration_seconds_count{phase="start"}`,
			`hotstandbyjob_api_requests_total{code="201",resource="pods",verb="create"}`,
			`hotstandbyjob_api_requests_total{code="200",resource="pods",verb="patch"}`,
			`hotstandbyjob_api_requests_total{code="200",resource="hotstandbyjobs/status",verb="patch"}`,
			`hotstandbyjob_idle_unit_seconds_total{pool="game"}`, `hotstandbyjob_idle_cost_total{pool="game"}`,
		} {
			g.Expect(got).To(gomega.HaveKeyWithValue(series, gomega.BeNumerically(">", 0)), series)
		}
		g.Expect(got[`hotstandbyjob_idle_cost_total{pool="game"}`]).To(gomega.BeNumerically("~", 0.01*got[`hotstandbyjob_idle_unit_seconds_total{pool="game"}`], 1e-9))
	})
	took := scrape(e, gomega.NewWithT(t), metrics)[`hotstandbyjob_launch_duration_seconds_sum{pool="game"}`]
	t.Logf("two warm launches took %.1f ms together", 1000*took)
	if took <= 0 || took > kit.Patience.Seconds() {
		t.Errorf("two launches took %v seconds", took)
	}

	if err := e.Client.Delete(t.Context(), h, client.PropagationPolicy("Background")); err != nil {
		t.Fatal(err)
	}
	e.Await("the pool leaves no series", func(g gomega.Gomega) {
		left := slices.DeleteFunc(slices.Sorted(maps.Keys(scrape(e, g, metrics))), func(s string) bool { return !strings.Contains(s, `pool="game"`) })
		g.Expect(left).To(gomega.BeEmpty())
	})
}
