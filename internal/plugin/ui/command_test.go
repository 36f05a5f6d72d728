// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"

	"github.com/paia-tech/hotstandbyjob/internal/plugin/page"
)

func TestThePageBeginsWithWhatMayBeSeen(t *testing.T) {
	for name, tc := range map[string]struct {
		may   []string // namespaces
		asked bool
		want  string
		fails bool
	}{
		"all":                                  {[]string{"", "games"}, false, "", false},
		"this namespace, as asked for":         {[]string{"", "games"}, true, "#namespace=games", false},
		"this namespace, and no other":         {[]string{"games"}, false, "#namespace=games", false},
		"nothing":                              {nil, false, "", true},
		"another namespace than was asked for": {[]string{"other"}, true, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			operator := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if slices.Contains(tc.may, r.URL.Query().Get("namespace")) {
					_, _ = io.WriteString(w, `{"launches": []}`)
					return
				}
				w.WriteHeader(http.StatusForbidden)
			}))
			defer operator.Close()
			base, err := url.Parse(operator.URL)
			if err != nil {
				t.Fatal(err)
			}
			got, err := mayView(t.Context(), &page.Page{Base: base, Transport: http.DefaultTransport}, "games", tc.asked)
			if got != tc.want || (err != nil) != tc.fails {
				t.Errorf("it shows %q, %v; want %q", got, err, tc.want)
			}
		})
	}
}
