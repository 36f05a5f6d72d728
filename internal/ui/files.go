// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed dist
var built embed.FS

// file is one of the page's, as it is sent.
type file struct {
	name, kind, tag string
	plain, zipped   []byte // zipped: nil where that is no gain
	forever         bool   // its name has a hash of what is in it
}

// serveFiles serves the page's files, to everybody: there is nothing in them that isn't in the sources.
func serveFiles(mux *http.ServeMux, from fs.FS) {
	_ = fs.WalkDir(from, "dist", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		f := newFile(strings.TrimPrefix(name, "dist/"), text)
		at := f.name
		if at == "index.html" {
			at = "{$}"
		}
		mux.Handle("GET /"+at, f)
		return nil
	}) // what is embedded can be read
}

func newFile(name string, text []byte) *file {
	sum := sha256.Sum256(text)
	f := &file{
		name: name, plain: text, kind: mime.TypeByExtension(path.Ext(name)), tag: hex.EncodeToString(sum[:8]),
		forever: strings.HasPrefix(name, "assets/"),
	}
	if f.kind == "" {
		f.kind = "text/plain; charset=utf-8"
	}
	if z := zipped(text, gzip.BestCompression); len(z) < len(text) {
		f.zipped = z
	}
	return f
}

// ServeHTTP sends the file, unless the browser says that it has it.
func (f *file) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache") // asks each time whether it is still the same
	if f.forever {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	text, tag := f.plain, f.tag
	if f.zipped != nil && takesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		text, tag = f.zipped, tag+"-gzip"
	}
	h.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, f.name, time.Time{}, bytes.NewReader(text))
}
