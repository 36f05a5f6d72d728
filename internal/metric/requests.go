// SPDX-License-Identifier: Apache-2.0

package metric

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
)

// Transport counts the requests that go through a transport to an API server.
func (s *Set) Transport(next http.RoundTripper) http.RoundTripper {
	return transport{next: next, set: s}
}

type transport struct {
	next http.RoundTripper
	set  *Set
}

// RoundTrip is http.RoundTripper's.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(r)
	verb, resource := requestOf(r)
	code := "error"
	if err == nil {
		code = strconv.Itoa(response.StatusCode)
	}
	t.set.requests.WithLabelValues(verb, resource, code).Inc()
	return response, err
}

// WrappedRoundTripper lets client-go find the transport below.
func (t transport) WrappedRoundTripper() http.RoundTripper { return t.next }

// requestOf reads from a request what the API server's authorization reads from it: verb, and resource with subresource.
// Requests that are for no resource have none.
//
//	/api/v1/[namespaces/NAMESPACE/]RESOURCE[/NAME[/SUBRESOURCE]]
//	/apis/GROUP/VERSION/…
func requestOf(r *http.Request) (verb, resource string) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		parts = parts[3:]
	default:
		return verbOf(r, true), ""
	}
	// What follows a namespace's name is a resource in it, but for the namespace's own subresources.
	if len(parts) > 2 && parts[0] == "namespaces" && parts[2] != "status" && parts[2] != "finalize" {
		parts = parts[2:]
	}
	resource = parts[0]
	if len(parts) > 2 {
		resource += "/" + parts[2]
	}
	return verbOf(r, len(parts) > 1), resource
}

// verbOf is the verb of a request that names an object, or doesn't.
func verbOf(r *http.Request, named bool) string {
	if watch := r.URL.Query().Get("watch"); r.Method == http.MethodGet && (watch == "true" || watch == "1") {
		return "watch"
	}
	verbs := map[string]string{
		http.MethodGet: "list", http.MethodHead: "list", http.MethodPost: "create", http.MethodPut: "update",
		http.MethodPatch: "patch", http.MethodDelete: "deletecollection",
	}
	if named {
		verbs[http.MethodGet], verbs[http.MethodHead], verbs[http.MethodDelete] = "get", "get", "delete"
	}
	return cmp.Or(verbs[r.Method], "other")
}
