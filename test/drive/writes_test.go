// SPDX-License-Identifier: Apache-2.0

package drive

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWritesIn(t *testing.T) {
	const text = `# TYPE apiserver_request_total counter
apiserver_request_total{code="201",component="apiserver",dry_run="",group="batch",resource="jobs",scope="resource",subresource="",verb="POST",version="v1"} 3
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="pods",scope="resource",subresource="",verb="PATCH",version="v1"} 4
apiserver_request_total{code="409",component="apiserver",dry_run="",group="",resource="pods",scope="resource",subresource="",verb="PATCH",version="v1"} 7
apiserver_request_total{code="200",component="apiserver",dry_run="All",group="",resource="pods",scope="resource",subresource="",verb="PATCH",version="v1"} 8
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="pods",scope="resource",subresource="status",verb="PATCH",version="v1"} 1e+01
apiserver_request_total{code="201",component="",dry_run="",group="",resource="pods",scope="resource",subresource="status",verb="PATCH",version="v1"} 1
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="pods",scope="cluster",subresource="",verb="LIST",version="v1"} 9
apiserver_request_total{code="200",component="apiserver",dry_run="",group="coordination.k8s.io",resource="leases",scope="resource",subresource="",verb="PUT",version="v1"} 99
apiserver_request_duration_seconds_count{resource="pods",verb="PATCH"} 5
`
	got, err := writesIn(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"POST jobs": 3, "PATCH pods": 4, "PATCH pods/status": 11}, got); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

func TestWritesInCountersThatAreNone(t *testing.T) {
	if _, err := writesIn(strings.NewReader(`apiserver_request_total{code="201",dry_run="",resource="jobs",verb="POST"} many` + "\n")); err == nil {
		t.Error("no error")
	}
}
