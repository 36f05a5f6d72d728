// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/paia-tech/hotstandbyjob/lab/internal/registry"
)

// refAnnotation is where other tools keep an image's name, or only its tag.
const refAnnotation = "org.opencontainers.image.ref.name"

// read returns the images of a tar file as "docker save", buildx, ko, podman and this package write them, gzipped or
// not. They read from the tar file, or from the scratch folder that it is unpacked into, until they are stored.
func read(tarPath, scratch string) ([]named, error) {
	tarPath, err := gunzip(tarPath, scratch)
	if err != nil {
		return nil, err
	}
	opener := func() (io.ReadCloser, error) { return os.Open(tarPath) }
	if manifest, err := tarball.LoadManifest(opener); err == nil {
		return readDocker(opener, manifest)
	}
	dir := filepath.Join(scratch, "layout")
	if err := unpack(tarPath, dir); err != nil {
		return nil, err
	}
	return readLayout(dir)
}

// gunzip returns the path of the plain tar file.
func gunzip(tarPath, scratch string) (string, error) {
	file, err := os.Open(tarPath)
	if err != nil {
		return "", fmt.Errorf("open image file: %w", err)
	}
	defer func() { _ = file.Close() }()
	buffered := bufio.NewReader(file)
	if magic, err := buffered.Peek(2); err != nil || magic[0] != 0x1f || magic[1] != 0x8b {
		return tarPath, nil // too short for a magic number is too short for an image: the reader says so
	}
	plain, err := gzip.NewReader(buffered)
	if err != nil {
		return "", fmt.Errorf("unzip %s: %w", tarPath, err)
	}
	out := filepath.Join(scratch, "image.tar")
	return out, copyTo(out, plain)
}

func copyTo(path string, from io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("unpack image: %w", err)
	}
	out, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("unpack image: %w", err)
	}
	_, err = io.Copy(out, from)
	if err := errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("unpack image: %w", err)
	}
	return nil
}

func readDocker(opener tarball.Opener, manifest tarball.Manifest) ([]named, error) {
	var found []named
	for _, m := range manifest {
		for _, repoTag := range m.RepoTags {
			tag, err := name.NewTag(repoTag)
			if err != nil {
				return nil, fmt.Errorf("image name %q: %w", repoTag, err)
			}
			img, err := tarball.Image(opener, &tag)
			if err != nil {
				return nil, fmt.Errorf("read image %s: %w", repoTag, err)
			}
			full, err := FullName(repoTag)
			if err != nil {
				return nil, err
			}
			found = append(found, named{name: full, image: img})
		}
	}
	if len(found) == 0 {
		return nil, errors.New("the file holds no image with a name: save it by its name, not by its id")
	}
	return found, nil
}

// unpack takes the files of an OCI image layout out of a tar file, and nothing else.
func unpack(tarPath, dir string) error {
	file, err := os.Open(tarPath)
	if err != nil {
		return fmt.Errorf("open image file: %w", err)
	}
	defer func() { _ = file.Close() }()
	for in := tar.NewReader(file); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read image file %s: %w", tarPath, err)
		}
		entry := path.Clean(header.Name)
		blob, _ := path.Match("blobs/sha256/*", entry)
		if header.Typeflag != tar.TypeReg || (!blob && entry != "index.json" && entry != "oci-layout") {
			continue
		}
		if err := copyTo(filepath.Join(dir, filepath.FromSlash(entry)), in); err != nil {
			return err
		}
	}
}

func readLayout(dir string) ([]named, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, fmt.Errorf("the file is neither a Docker image nor an OCI image layout: %w", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("read image index: %w", err)
	}
	var found []named
	for _, d := range manifest.Manifests {
		full, err := nameOf(d)
		if err != nil {
			continue // Attestations and the like have no name.
		}
		img, err := choose(index, d)
		if err != nil {
			return nil, fmt.Errorf("read image %s: %w", full, err)
		}
		found = append(found, named{name: full, image: img})
	}
	if len(found) == 0 {
		return nil, errors.New("the file holds no image with a name: give it one when it is built")
	}
	return found, nil
}

func nameOf(d v1.Descriptor) (string, error) {
	if full := d.Annotations[registry.NameAnnotation]; full != "" {
		return FullName(full)
	}
	ref := d.Annotations[refAnnotation]
	if !strings.ContainsAny(ref, ":/") {
		return "", fmt.Errorf("%q is a tag, not a name", ref)
	}
	return FullName(ref)
}

// choose picks the image for this machine where there is one for each of several.
func choose(index v1.ImageIndex, d v1.Descriptor) (v1.Image, error) {
	if !d.MediaType.IsIndex() {
		return index.Image(d.Digest)
	}
	nested, err := index.ImageIndex(d.Digest)
	if err != nil {
		return nil, fmt.Errorf("read image index: %w", err)
	}
	manifest, err := nested.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("read image index: %w", err)
	}
	want := v1.Platform{OS: "linux", Architecture: runtime.GOARCH}
	for _, m := range manifest.Manifests {
		if m.Platform != nil && m.Platform.Satisfies(want) {
			return nested.Image(m.Digest)
		}
	}
	return nil, fmt.Errorf("there is none for %s", want.String())
}
