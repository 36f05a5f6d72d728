// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/paia-tech/hotstandbyjob/internal/plugin/page"
)

type withToken struct{}

func (withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" {
		return nil, io.ErrUnexpectedEOF // what the browser sent came through
	}
	r.Header.Set("Authorization", "Bearer secret")
	return http.DefaultTransport.RoundTrip(r)
}

func TestOnlyItsOwnPageGetsThrough(t *testing.T) {
	operator := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = io.WriteString(w, r.URL.RequestURI())
	}))
	defer operator.Close()
	base, err := url.Parse(operator.URL)
	if err != nil {
		t.Fatal(err)
	}
	const host = "127.0.0.1:1234"
	handler := proxy(&page.Page{Base: base, Transport: withToken{}}, []string{host, "localhost:1234"}, log.New(t.Output(), "", 0))
	for name, tc := range map[string]struct {
		method, host string
		header       map[string]string
		want         int
	}{
		"its own":                   {"GET", host, nil, 200},
		"by the other name":         {"GET", "localhost:1234", map[string]string{"Origin": "http://localhost:1234"}, 200},
		"with what a browser has":   {"GET", host, map[string]string{"Authorization": "Bearer other", "Cookie": "a=b", "Sec-Fetch-Site": "same-origin"}, 200},
		"a link leads here":         {"GET", host, map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200},
		"DNS rebinding":             {"GET", "evil.example.com:1234", nil, 403},
		"another port":              {"GET", "127.0.0.1:80", nil, 403},
		"another site's script":     {"GET", host, map[string]string{"Origin": "http://evil.example.com"}, 403},
		"a site without an origin":  {"GET", host, map[string]string{"Origin": "null"}, 403},
		"another site's image":      {"GET", host, map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403},
		"something that writes":     {"POST", host, nil, 403},
		"an origin by another name": {"GET", host, map[string]string{"Origin": "http://localhost:1234"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), tc.method, "/api/v1/pools?namespace=a", nil)
			r.Host = tc.host
			for key, value := range tc.header {
				r.Header.Set(key, value)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != tc.want || tc.want == 200 && w.Body.String() != "/api/v1/pools?namespace=a" {
				t.Errorf("%d: %s; want %d", w.Code, w.Body, tc.want)
			}
		})
	}
}
