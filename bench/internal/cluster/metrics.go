// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/paia-tech/hotstandbyjob/test/drive"
)

// What the operator says of itself; docs/metrics.md explains the first two, and controller-runtime has the others.
const (
	phaseMetric     = "hotstandbyjob_launch_phase_duration_seconds"
	requestMetric   = "hotstandbyjob_api_requests_total"
	reconcileMetric = "controller_runtime_reconcile_time_seconds"
	leaderMetric    = "leader_election_master_status"
)

// Metrics are what the operator has counted since it started.
type Metrics map[string]*dto.MetricFamily

// Metrics reads the operator's.
func (s *Space) Metrics(ctx context.Context) (Metrics, error) {
	return metricsAt(ctx, s.operator.metrics)
}

// metricsAt reads those of the process at an address.
func metricsAt(ctx context.Context, address string) (Metrics, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("read the operator's metrics: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("read the operator's metrics: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	families, err := drive.Metrics(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read the operator's metrics: %w", err)
	}
	return families, nil
}

// Gauge is a number without labels that goes up and down; 0 if there is none of that name.
func (m Metrics) Gauge(name string) float64 {
	for _, one := range m[name].GetMetric() {
		return one.GetGauge().GetValue()
	}
	return 0
}

// Phase is how often launches have gone through a phase, and how long that took in all.
type Phase struct {
	Count uint64
	Took  time.Duration
}

// Phases are those of all launches, by name.
func (m Metrics) Phases() map[string]Phase {
	phases := map[string]Phase{}
	for _, one := range m[phaseMetric].GetMetric() {
		h := one.GetHistogram()
		phases[drive.LabelOf(one, "phase")] = Phase{Count: h.GetSampleCount(), Took: time.Duration(h.GetSampleSum() * float64(time.Second))}
	}
	return phases
}

// Requests are the requests to the API server that were answered, by verb and resource, such as "patch pods". Those for
// leases and watches are left out: they are made by time alone, whatever there is to do.
func (m Metrics) Requests() map[string]int {
	requests := map[string]int{}
	for _, one := range m[requestMetric].GetMetric() {
		verb, resource := drive.LabelOf(one, "verb"), drive.LabelOf(one, "resource")
		if verb != "watch" && resource != "leases" {
			requests[verb+" "+resource] += int(one.GetCounter().GetValue())
		}
	}
	maps.DeleteFunc(requests, func(_ string, n int) bool { return n == 0 })
	return requests
}

// Writes are those requests that change an object.
func (m Metrics) Writes() map[string]int {
	writes := m.Requests()
	maps.DeleteFunc(writes, func(what string, _ int) bool {
		verb, resource, _ := strings.Cut(what, " ")
		return !slices.Contains([]string{"create", "update", "patch", "delete"}, verb) || slices.Contains(drive.Besides(), resource)
	})
	return writes
}

// LongestReconcile is the bound of the slowest reconciles' bucket: none has taken longer.
func (m Metrics) LongestReconcile() time.Duration {
	var longest float64
	for _, one := range m[reconcileMetric].GetMetric() {
		var before uint64
		for _, b := range one.GetHistogram().GetBucket() {
			if b.GetCumulativeCount() > before {
				longest = max(longest, b.GetUpperBound())
			}
			before = b.GetCumulativeCount()
		}
	}
	return time.Duration(longest * float64(time.Second))
}
