// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	oneDigest = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	twoDigest = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
	docker    = "application/vnd.docker.distribution.manifest.v2+json"
)

// layout is an image layout with an image that two registries have under the same name.
func layout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{
		"blobs/sha256/" + strings.Repeat("1", 64): `{"mediaType":"` + docker + `"}`,
		"blobs/sha256/" + strings.Repeat("2", 64): `{}`,
		"index.json": fmt.Sprintf(`{"manifests":[
			{"mediaType":%q,"digest":%q,"annotations":{%q:"docker.io/library/busybox:1.36"}},
			{"mediaType":%q,"digest":%q,"annotations":{%q:"localhost:5000/library/busybox:1.36"}}]}`,
			docker, oneDigest, NameAnnotation, ociManifest, twoDigest, NameAnnotation),
		"secret": "keep out",
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRegistry(t *testing.T) {
	h := Handler(layout(t))
	for _, tc := range []struct {
		method, url string
		status      int
		kind        string
		digest      string
	}{
		{"GET", "/v2/", 200, "", ""},
		{"GET", "/v2/library/busybox/manifests/1.36?ns=docker.io", 200, docker, oneDigest},
		{"HEAD", "/v2/library/busybox/manifests/1.36?ns=docker.io", 200, docker, oneDigest},
		{"GET", "/v2/library/busybox/manifests/1.36?ns=localhost:5000", 200, ociManifest, twoDigest},
		{"GET", "/v2/library/busybox/manifests/1.36", 404, "", ""},
		{"GET", "/v2/library/busybox/manifests/1.37?ns=docker.io", 404, "", ""},
		{"GET", "/v2/library/busybox/manifests/" + oneDigest + "?ns=docker.io", 200, docker, oneDigest},
		{"GET", "/v2/library/busybox/manifests/" + twoDigest + "?ns=docker.io", 200, ociManifest, twoDigest},
		{"GET", "/v2/library/busybox/blobs/" + oneDigest, 200, "application/octet-stream", oneDigest},
		{"GET", "/v2/library/busybox/blobs/sha256:" + strings.Repeat("3", 64), 404, "", ""},
		{"GET", "/v2/library/busybox/blobs/sha256:..", 400, "", ""},
		{"GET", "/v2/library/busybox/blobs/..%2f..%2fsecret", 404, "", ""},
		{"GET", "/secret", 404, "", ""},
		{"PUT", "/v2/library/busybox/manifests/1.36?ns=docker.io", 405, "", ""},
	} {
		t.Run(tc.method+" "+tc.url, func(t *testing.T) {
			out := httptest.NewRecorder()
			h.ServeHTTP(out, httptest.NewRequestWithContext(t.Context(), tc.method, tc.url, nil))
			if out.Code != tc.status {
				t.Fatalf("status %d, want %d: %s", out.Code, tc.status, out.Body)
			}
			if got := out.Header().Get("Docker-Content-Digest"); got != tc.digest {
				t.Errorf("digest %q, want %q", got, tc.digest)
			}
			if got := out.Header().Get("Content-Type"); tc.kind != "" && got != tc.kind {
				t.Errorf("content type %q, want %q", got, tc.kind)
			}
			if tc.method == http.MethodHead && out.Body.Len() > 0 {
				t.Errorf("HEAD has a body: %s", out.Body)
			}
		})
	}
}

func TestAMissingImageSaysWhatToDo(t *testing.T) {
	for _, dir := range []string{layout(t), t.TempDir()} {
		out := httptest.NewRecorder()
		Handler(dir).ServeHTTP(out, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v2/library/nosuch/manifests/1?ns=docker.io", nil))
		if out.Code != http.StatusNotFound || !strings.Contains(out.Body.String(), "MANIFEST_UNKNOWN") {
			t.Errorf("status %d: %s", out.Code, out.Body)
		}
	}
}
