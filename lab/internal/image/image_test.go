// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/paia-tech/hotstandbyjob/lab/internal/registry"
)

// hello is a small image with a file, a link, a folder and a text.
func hello(t *testing.T, names ...string) Spec {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "hello")
	if err := os.WriteFile(binary, []byte("#!hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	return withWorld(Spec{
		Names: names, User: NonRoot, Entrypoint: []string{"/bin/hello"},
		Files: []File{{Path: "/bin/hello", Source: binary}, {Path: "/bin/hi", Link: "hello"}},
	})
}

func build(t *testing.T, spec Spec) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := Build(spec, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBuild(t *testing.T) {
	path := build(t, hello(t, "hello:dev"))
	img, err := tarball.ImageFromPath(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := v1.Config{User: "65532:65532", Entrypoint: []string{"/bin/hello"}, Env: []string{searchPath}}
	if diff := cmp.Diff(want, config.Config); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	got := map[string]string{}
	for header := range layerOf(t, img) {
		got[header.Name] = header.FileInfo().Mode().String() + " " + header.Linkname
	}
	wantFiles := map[string]string{
		"bin/": "drwxr-xr-x ", "bin/hello": "-rwxr-xr-x ", "bin/hi": "Lrwxr-xr-x hello",
		"etc/": "drwxr-xr-x ", "etc/group": "-rw-r--r-- ", "etc/passwd": "-rw-r--r-- ", "tmp/": "dtrwxrwxrwx ",
	}
	if diff := cmp.Diff(wantFiles, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// layerOf yields the files of an image's layer.
func layerOf(t *testing.T, img v1.Image) func(func(*tar.Header) bool) {
	t.Helper()
	layers, err := img.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("layers: %d, error %v", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func(*tar.Header) bool) {
		defer func() { _ = content.Close() }()
		for in := tar.NewReader(content); ; {
			header, err := in.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !yield(header) {
				return
			}
		}
	}
}

// Standby pods copy their entrypoint out of the operator's image.
func TestTheOperatorsImageHasTheEntrypoint(t *testing.T) {
	dir := t.TempDir()
	for _, name := range OperatorPrograms() {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!"+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	img, err := tarball.ImageFromPath(build(t, ForOperator(dir)), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for header := range layerOf(t, img) {
		got[header.Name] = header.FileInfo().Mode().String()
	}
	for _, name := range []string{"operator", "standby"} {
		if got[name] != "-rwxr-xr-x" {
			t.Errorf("/%s is %q, want a program; the image has %v", name, got[name], got)
		}
	}
}

func TestTheSameInputGivesTheSameImage(t *testing.T) {
	spec := hello(t, "hello:dev")
	first, second := build(t, spec), build(t, spec)
	if !bytes.Equal(content(t, first), content(t, second)) {
		t.Error("two builds of the same image differ")
	}
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestBuildErrors(t *testing.T) {
	spec := hello(t, "hello:dev")
	for name, broken := range map[string]Spec{
		"no name":       {},
		"bad name":      {Names: []string{"Hello World"}, Files: spec.Files},
		"missing files": {Names: []string{"hello"}, Files: []File{{Path: "/x", Source: "/does/not/exist"}}},
	} {
		dir := t.TempDir()
		if err := Build(broken, filepath.Join(dir, "image.tar")); err == nil {
			t.Errorf("%s: no error", name)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s: left %v behind", name, left)
		}
	}
}

func TestFullName(t *testing.T) {
	for short, want := range map[string]string{
		"busybox":                     "docker.io/library/busybox:latest",
		"busybox:1.36":                "docker.io/library/busybox:1.36",
		"games/worker":                "docker.io/games/worker:latest",
		"lab.hsj.paia.tech/pause:dev": "lab.hsj.paia.tech/pause:dev",
		"localhost:5000/a/b:c":        "localhost:5000/a/b:c",
		"docker.io/library/busybox:1": "docker.io/library/busybox:1",
	} {
		if got, err := FullName(short); err != nil || got != want {
			t.Errorf("%s is %q in full, error %v; want %q", short, got, err, want)
		}
	}
}

func TestStoreReadsWhatOthersWrite(t *testing.T) {
	docker := build(t, hello(t, "hello:dev", "lab.hsj.paia.tech/hello:dev"))
	wantNames := []string{"docker.io/library/hello:dev", "lab.hsj.paia.tech/hello:dev"}
	oci := exported(t, docker)
	zipped := filepath.Join(t.TempDir(), "image.tar.gz")
	var buffer bytes.Buffer
	z := gzip.NewWriter(&buffer)
	_, err := z.Write(content(t, docker))
	if err := errors.Join(err, z.Close(), os.WriteFile(zipped, buffer.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	var digests []string
	for name, path := range map[string]string{"docker": docker, "OCI layout": oci, "gzip": zipped} {
		dir := t.TempDir()
		added, err := Store(t.Context(), dir, path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var names []string
		for _, d := range added {
			names = append(names, d.Annotations[registry.NameAnnotation])
			digests = append(digests, d.Digest.String())
		}
		slices.Sort(names)
		if diff := cmp.Diff(wantNames, names); diff != "" {
			t.Errorf("%s: names (-want +got):\n%s", name, diff)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "load-*")); len(left) > 0 {
			t.Errorf("%s: left %v behind", name, left)
		}
	}
	if slices.Sort(digests); len(slices.Compact(digests)) != 1 {
		t.Errorf("the image changed on its way: %v", digests)
	}
}

// exported makes an OCI image layout of a Docker image.
func exported(t *testing.T, docker string) string {
	t.Helper()
	dir := t.TempDir()
	added, err := Store(t.Context(), dir, docker)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := (store{dir: filepath.Join(dir, StoreDir)}).export(&out, added); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "oci.tar")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestANewImageTakesTheNameOver(t *testing.T) {
	dir := t.TempDir()
	old, err := Store(t.Context(), dir, build(t, hello(t, "hello:dev")))
	if err != nil {
		t.Fatal(err)
	}
	changed := hello(t, "hello:dev")
	changed.Entrypoint = []string{"/bin/hi"}
	if _, err := Store(t.Context(), dir, build(t, changed)); err != nil {
		t.Fatal(err)
	}
	index, err := store{dir: filepath.Join(dir, StoreDir)}.index()
	if err != nil {
		t.Fatal(err)
	}
	if len(index.Manifests) != 1 || index.Manifests[0].Digest == old[0].Digest {
		t.Errorf("the store has %v, want the new image only", index.Manifests)
	}
}

func TestWhatIsNoImageIsRefused(t *testing.T) {
	dir := t.TempDir()
	evil := filepath.Join(dir, "evil.tar")
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	err := w.WriteHeader(&tar.Header{Name: "blobs/sha256/../../../escaped", Typeflag: tar.TypeReg, Size: 1, Mode: 0o644})
	_, err2 := w.Write([]byte("x"))
	if err := errors.Join(err, err2, w.Close(), os.WriteFile(evil, out.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(dir, "text.tar")
	if err := os.WriteFile(text, []byte(strings.Repeat("no image ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	node := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(node, 0o750); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{evil, text, filepath.Join(dir, "missing.tar")} {
		if _, err := Store(t.Context(), node, path); err == nil {
			t.Errorf("%s was taken for an image", path)
		}
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "*", "escaped")); len(found) > 0 {
		t.Errorf("a file was written outside: %v", found)
	}
}
