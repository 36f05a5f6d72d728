// SPDX-License-Identifier: Apache-2.0

package metric

import (
	"errors"
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestRequestOf(t *testing.T) {
	for _, tc := range []struct{ method, url, verb, resource string }{
		{"GET", "/api/v1/pods", "list", "pods"},
		{"GET", "/api/v1/pods?watch=true&resourceVersion=7", "watch", "pods"},
		{"GET", "/api/v1/namespaces/games/pods?watch=1", "watch", "pods"},
		{"GET", "/api/v1/namespaces/games/pods", "list", "pods"},
		{"GET", "/api/v1/namespaces/games/pods/a", "get", "pods"},
		{"PATCH", "/api/v1/namespaces/games/pods/a", "patch", "pods"},
		{"PATCH", "/api/v1/namespaces/games/pods/a/status", "patch", "pods/status"},
		{"POST", "/api/v1/namespaces/games/pods/a/exec?command=true", "create", "pods/exec"},
		{"POST", "/api/v1/namespaces/games/pods", "create", "pods"},
		{"DELETE", "/api/v1/namespaces/games/pods/a", "delete", "pods"},
		{"DELETE", "/api/v1/namespaces/games/pods", "deletecollection", "pods"},
		{"GET", "/api/v1/namespaces", "list", "namespaces"},
		{"GET", "/api/v1/namespaces/games", "get", "namespaces"},
		{"PUT", "/api/v1/namespaces/games/finalize", "update", "namespaces/finalize"},
		{"PUT", "/apis/coordination.k8s.io/v1/namespaces/hsj/leases/l", "update", "leases"},
		{"PATCH", "/apis/apps.paia.tech/v1alpha1/namespaces/games/hotstandbyjobs/game/status", "patch", "hotstandbyjobs/status"},
		{"POST", "/apis/authentication.k8s.io/v1/tokenreviews", "create", "tokenreviews"},
		{"GET", "/apis/apps.paia.tech/v1alpha1", "get", ""},
		{"GET", "/api", "get", ""},
		{"GET", "/version", "get", ""},
		{"GET", "/", "get", ""},
		{"OPTIONS", "/api/v1/pods", "other", "pods"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), tc.method, "https://server"+tc.url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if verb, resource := requestOf(r); verb != tc.verb || resource != tc.resource {
			t.Errorf("%s %s: %s %s, want %s %s", tc.method, tc.url, verb, resource, tc.verb, tc.resource)
		}
	}
}

type server func(*http.Request) (*http.Response, error)

func (s server) RoundTrip(r *http.Request) (*http.Response, error) { return s(r) }

func TestRequestsAreCounted(t *testing.T) {
	s, _, _ := newSet(t)
	away := errors.New("no route to host")
	for _, answer := range []server{
		func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusConflict, Body: http.NoBody}, nil
		},
		func(*http.Request) (*http.Response, error) { return nil, away },
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://server/api/v1/nodes/n", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := s.Transport(answer).RoundTrip(r)
		if err != nil && !errors.Is(err, away) {
			t.Error(err)
		}
		if response != nil {
			_ = response.Body.Close()
		}
	}
	for _, code := range []string{"409", "error"} {
		if got := testutil.ToFloat64(s.requests.WithLabelValues("get", "nodes", code)); got != 1 {
			t.Errorf("%v requests with code %s, want 1", got, code)
		}
	}
}
