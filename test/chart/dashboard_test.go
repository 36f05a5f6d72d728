// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/paia-tech/hotstandbyjob/test/tool"
)

// played are metrics like the operator's, which say something else at each look.
func played() http.Handler {
	registry := prometheus.NewRegistry()
	pool := prometheus.Labels{"namespace": "ns", "pool": "p"}
	var grow []func()
	gauge := func(name string, labels prometheus.Labels) {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: "x", ConstLabels: labels})
		g.Set(1)
		registry.MustRegister(g)
	}
	counter := func(name string, labels prometheus.Labels) {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: "x", ConstLabels: labels})
		registry.MustRegister(c)
		grow = append(grow, c.Inc)
	}
	histogram := func(name string, labels prometheus.Labels) {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: "x", ConstLabels: labels})
		registry.MustRegister(h)
		grow = append(grow, func() { h.Observe(0.01) })
	}
	with := func(more ...string) prometheus.Labels {
		labels := prometheus.Labels{"namespace": "ns", "pool": "p"}
		for i := 0; i < len(more); i += 2 {
			labels[more[i]] = more[i+1]
		}
		return labels
	}
	for _, state := range []string{"idle", "busy", "starting", "unknown", "retiring", "failed"} {
		gauge("hotstandbyjob_pool_units", with("state", state))
	}
	for _, name := range []string{"idle_target", "desired_units", "missing_units", "waiting_pods", "consecutive_failures"} {
		gauge("hotstandbyjob_pool_"+name, pool)
	}
	for start, reason := range map[string]string{"warm": "", "waited": "", "cold": "NoneIdle", "rejected": ""} {
		counter("hotstandbyjob_launches_total", with("start", start, "reason", reason))
	}
	for _, phase := range []string{"queue", "claim", "deliver", "start"} {
		histogram("hotstandbyjob_launch_phase_duration_seconds", prometheus.Labels{"phase": phase})
	}
	histogram("hotstandbyjob_launch_duration_seconds", pool)
	histogram("hotstandbyjob_standby_lead_time_seconds", pool)
	for _, name := range []string{"claims_lost", "idle_unit_seconds", "idle_cost"} {
		counter("hotstandbyjob_"+name+"_total", pool)
	}
	histogram("hotstandbyjob_probe_duration_seconds", prometheus.Labels{"mode": "http"})
	counter("hotstandbyjob_probe_errors_total", prometheus.Labels{"mode": "http"})
	gauge("hotstandbyjob_gateway_streams", nil)
	counter("hotstandbyjob_api_requests_total", prometheus.Labels{"verb": "create", "resource": "pods", "code": "409"})
	gauge("leader_election_master_status", prometheus.Labels{"name": "hotstandbyjob.apps.paia.tech"})

	serve := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, f := range grow {
			f()
		}
		serve.ServeHTTP(w, r)
	})
}

func TestPrometheusAnswersTheDashboardAndTheRules(t *testing.T) {
	operator := httptest.NewServer(played())
	t.Cleanup(operator.Close)
	r := rendered(t)
	p := tool.StartPrometheus(t, strings.TrimPrefix(operator.URL, "http://"), write(t, t.TempDir(), "rules.yaml", r))
	ctx, d := t.Context(), tool.ReadDashboard(t, "10s")
	await := func(what string, f func(g gomega.Gomega)) {
		t.Helper()
		gomega.NewWithT(t).Eventually(f, 2*time.Minute, 200*time.Millisecond).Should(gomega.Succeed(), what)
	}
	for title, queries := range d.Panels {
		for _, query := range queries {
			await(title, func(g gomega.Gomega) {
				found, err := p.Query(ctx, query)
				g.Expect(err).NotTo(gomega.HaveOccurred(), query)
				g.Expect(found).NotTo(gomega.BeEmpty(), query)
				for _, s := range found {
					g.Expect(s.Value[1]).NotTo(gomega.Equal("NaN"), query)
				}
			})
		}
	}
	if len(d.Panels) < 20 || len(d.Variables) != 2 {
		t.Errorf("the dashboard is %+v", d)
	}
	for name, v := range d.Variables {
		values, err := p.Values(ctx, v[0], v[1])
		if want := map[string]string{"namespace": "ns", "pool": "p"}[name]; err != nil || !slices.Equal(values, []string{want}) {
			t.Errorf("the values of %s are %v, %v; want %s", name, values, err, want)
		}
	}
	await("all rules work", func(g gomega.Gomega) {
		found, err := p.Rules(ctx)
		g.Expect(err).NotTo(gomega.HaveOccurred())
		g.Expect(found).To(gomega.HaveLen(len(r.alerts()) + 1))
		for name, fault := range found {
			g.Expect(fault).To(gomega.BeEmpty(), name)
		}
	})
	await("the hit ratio is of the pool's namespace, not of the operator's", func(g gomega.Gomega) {
		found, err := p.Query(ctx, "hotstandbyjob:hit_ratio:5m")
		g.Expect(err).NotTo(gomega.HaveOccurred())
		g.Expect(found).To(gomega.HaveLen(1))
		g.Expect(found[0].Metric).To(gomega.HaveKeyWithValue("namespace", "ns"))
	})
}
