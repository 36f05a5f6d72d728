// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const exposed = `# TYPE hotstandbyjob_launch_phase_duration_seconds histogram
hotstandbyjob_launch_phase_duration_seconds_bucket{phase="claim",le="+Inf"} 2
hotstandbyjob_launch_phase_duration_seconds_sum{phase="claim"} 0.5
hotstandbyjob_launch_phase_duration_seconds_count{phase="claim"} 2
# TYPE hotstandbyjob_api_requests_total counter
hotstandbyjob_api_requests_total{code="200",resource="pods",verb="patch"} 3
hotstandbyjob_api_requests_total{code="409",resource="pods",verb="patch"} 1
hotstandbyjob_api_requests_total{code="200",resource="jobs",verb="list"} 5
hotstandbyjob_api_requests_total{code="201",resource="tokenreviews",verb="create"} 7
hotstandbyjob_api_requests_total{code="200",resource="leases",verb="update"} 9
hotstandbyjob_api_requests_total{code="200",resource="pods",verb="watch"} 9
# TYPE controller_runtime_reconcile_time_seconds histogram
controller_runtime_reconcile_time_seconds_bucket{controller="a",le="0.1"} 4
controller_runtime_reconcile_time_seconds_bucket{controller="a",le="0.5"} 5
controller_runtime_reconcile_time_seconds_bucket{controller="a",le="+Inf"} 5
controller_runtime_reconcile_time_seconds_sum{controller="a"} 1
controller_runtime_reconcile_time_seconds_count{controller="a"} 5
`

func TestMetrics(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, exposed) }))
	defer server.Close()
	m, err := metricsAt(t.Context(), server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]Phase{"claim": {Count: 2, Took: 500 * time.Millisecond}}, m.Phases()); diff != "" {
		t.Errorf("phases (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"patch pods": 4, "list jobs": 5, "create tokenreviews": 7}, m.Requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"patch pods": 4}, m.Writes()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if got := m.LongestReconcile(); got != 500*time.Millisecond {
		t.Errorf("the longest reconcile took %s", got)
	}
	server.Close()
	if _, err := metricsAt(t.Context(), server.Listener.Addr().String()); err == nil {
		t.Error("no error where there are no metrics")
	}
}
