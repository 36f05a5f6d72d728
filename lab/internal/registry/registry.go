// SPDX-License-Identifier: Apache-2.0

// Package registry serves an OCI image layout as a registry that can be read. It stands for every registry there is: the
// one that a name asks for is part of the name in the layout.
package registry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// NameAnnotation is the annotation of a manifest in the layout's index that holds the image's whole name.
const NameAnnotation = "io.containerd.image.name"

const ociManifest = "application/vnd.oci.image.manifest.v1+json"

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Annotations map[string]string `json:"annotations"`
}

type handler struct {
	layout  string
	request *regexp.Regexp
	digest  *regexp.Regexp
}

// Handler serves the images of a layout. Names are looked up at every request, so that images can be added meanwhile.
func Handler(layout string) http.Handler {
	return handler{
		layout:  layout,
		request: regexp.MustCompile(`^/v2/([a-z0-9._/-]+)/(manifests|blobs)/([A-Za-z0-9_.:-]+)$`),
		digest:  regexp.MustCompile(`^sha256:[0-9a-f]{64}$`),
	}
}

// ServeHTTP answers the reading half of the OCI distribution protocol.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "the lab's images can only be read; add some with: lab load IMAGE.tar")
		return
	}
	if r.URL.Path == "/v2/" || r.URL.Path == "/v2" {
		w.WriteHeader(http.StatusOK)
		return
	}
	parts := h.request.FindStringSubmatch(r.URL.Path)
	if parts == nil {
		refuse(w, http.StatusNotFound, "NAME_INVALID", "no such path")
		return
	}
	repository, kind, reference := r.URL.Query().Get("ns")+"/"+parts[1], parts[2], parts[3]
	switch {
	case kind == "blobs":
		h.blob(w, r, descriptor{Digest: reference, MediaType: "application/octet-stream"})
	case h.digest.MatchString(reference):
		h.manifest(w, r, descriptor{Digest: reference})
	default:
		name := repository + ":" + reference
		found, err := h.find(name)
		if err != nil {
			refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN", err.Error())
			return
		}
		h.manifest(w, r, found)
	}
}

// find looks an image up by its whole name.
func (h handler) find(name string) (descriptor, error) {
	raw, err := os.ReadFile(filepath.Join(h.layout, "index.json"))
	if err != nil {
		return descriptor{}, fmt.Errorf("the lab has no images: %w", err)
	}
	var index struct {
		Manifests []descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(raw, &index); err != nil {
		return descriptor{}, fmt.Errorf("read the lab's images: %w", err)
	}
	for _, d := range index.Manifests {
		if d.Annotations[NameAnnotation] == name {
			return d, nil
		}
	}
	return descriptor{}, fmt.Errorf("the lab has no image %s; add it with: lab load IMAGE.tar", name)
}

// manifest serves a manifest. A client that asked by digest learns the media type from the manifest itself.
func (h handler) manifest(w http.ResponseWriter, r *http.Request, d descriptor) {
	if raw, err := os.ReadFile(h.path(d.Digest)); err == nil && d.MediaType == "" {
		if err := json.Unmarshal(raw, &d); err != nil || d.MediaType == "" {
			d.MediaType = ociManifest
		}
	}
	h.blob(w, r, d)
}

func (h handler) blob(w http.ResponseWriter, r *http.Request, d descriptor) {
	if !h.digest.MatchString(d.Digest) {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "only sha256 is supported")
		return
	}
	file, err := os.Open(h.path(d.Digest))
	if err != nil {
		refuse(w, http.StatusNotFound, "BLOB_UNKNOWN", "the lab has no blob "+d.Digest)
		return
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		refuse(w, http.StatusInternalServerError, "UNKNOWN", err.Error())
		return
	}
	w.Header().Set("Content-Type", d.MediaType)
	w.Header().Set("Docker-Content-Digest", d.Digest)
	http.ServeContent(w, r, "", info.ModTime(), file)
}

func (h handler) path(digest string) string {
	return filepath.Join(h.layout, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The client may be gone; there is nobody to tell.
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
}
