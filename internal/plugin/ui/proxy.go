// SPDX-License-Identifier: Apache-2.0

// Package ui serves the operator's page on this machine, so that a browser needs no token.
package ui

import (
	"log"
	"net/http"
	"net/http/httputil"
	"slices"

	"github.com/paia-tech/hotstandbyjob/internal/plugin/page"
)

// proxy hands requests to the page, with the token. Only this machine's browser gets through, and only with what the proxy
// itself has served: a request that another site has made, or that came by another name, is refused.
func proxy(p *page.Page, hosts []string, errors *log.Logger) http.Handler {
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(p.Base)
			for _, name := range []string{"Authorization", "Cookie", "Origin", "Referer"} {
				r.Out.Header.Del(name)
			}
		},
		Transport: p.Transport,
		ErrorLog:  errors,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			errors.Println(err)
			http.Error(w, "the operator's page can't be reached: "+err.Error(), http.StatusBadGateway)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why := refuses(r, hosts); why != "" {
			http.Error(w, why, http.StatusForbidden)
			return
		}
		forward.ServeHTTP(w, r)
	})
}

// refuses says why a request isn't handed on, or "".
func refuses(r *http.Request, hosts []string) string {
	site := r.Header.Get("Sec-Fetch-Site")
	origin := r.Header.Get("Origin")
	switch {
	case !slices.Contains(hosts, r.Host):
		return "this server has another name: open the address that `kubectl hsj ui` has printed"
	case origin != "" && origin != "http://"+r.Host:
		return "requests of other sites are refused"
	case site == "cross-site" && r.Header.Get("Sec-Fetch-Mode") != "navigate": // a link may lead here
		return "requests of other sites are refused"
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return "the page is read-only"
	}
	return ""
}
