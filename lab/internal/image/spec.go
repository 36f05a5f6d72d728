// SPDX-License-Identifier: Apache-2.0

// Package image builds container images from static binaries, keeps the images of a lab, and loads them into its node.
// It needs no registry, no base image and no Docker.
package image

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// searchPath is where programs are looked for in an image.
const searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Spec describes an image of one layer.
type Spec struct {
	// Names are the names that the image goes by.
	Names []string
	// Files are its files. Folders that they need are made.
	Files []File
	// User runs the image's program, as numbers, so that runAsNonRoot can be checked.
	User       string
	Entrypoint []string
	Cmd        []string
}

// File is a file of an image: exactly one of Source, Link, Text and Dir says what it is.
type File struct {
	// Path is absolute.
	Path string
	// Source is the file on this machine that is copied.
	Source string
	// Link is what a symbolic link points to.
	Link string
	// Text is the content of a small file.
	Text string
	// Dir makes an empty folder.
	Dir bool
	// Mode is the file's mode; 0755 if zero.
	Mode int64
}

// Build writes an image to a tar file that this lab, Docker, containerd and others can load. The same input gives the
// same image.
func Build(spec Spec, tarPath string) error { return buildAll([]Spec{spec}, tarPath) }

func buildAll(specs []Spec, tarPath string) error {
	images := map[name.Reference]v1.Image{}
	for _, spec := range specs {
		img, err := assemble(spec)
		if err != nil {
			return err
		}
		for _, n := range spec.Names {
			ref, err := name.ParseReference(n)
			if err != nil {
				return fmt.Errorf("image name %q: %w", n, err)
			}
			images[ref] = img
		}
	}
	return writeTar(images, tarPath)
}

// writeTar puts the file in its place in one step: whoever finds it finds it whole.
func writeTar(images map[name.Reference]v1.Image, tarPath string) error {
	temp, err := os.CreateTemp(filepath.Dir(tarPath), filepath.Base(tarPath)+".*")
	if err != nil {
		return fmt.Errorf("write image: %w", err)
	}
	defer func() { _ = os.Remove(temp.Name()) }() // It has another name when all went well.
	err = tarball.MultiRefWrite(images, temp)
	if err := errors.Join(err, temp.Chmod(0o644), temp.Close()); err != nil {
		return fmt.Errorf("write image: %w", err)
	}
	if err := os.Rename(temp.Name(), tarPath); err != nil {
		return fmt.Errorf("write image: %w", err)
	}
	return nil
}

func assemble(spec Spec) (v1.Image, error) {
	if len(spec.Names) == 0 {
		return nil, errors.New("an image needs a name")
	}
	opener := func() (io.ReadCloser, error) {
		reader, writer := io.Pipe()
		go func() { writer.CloseWithError(writeLayer(writer, spec.Files)) }()
		return reader, nil
	}
	// Compressing well takes longer than anything else here, and these images hardly travel.
	layer, err := tarball.LayerFromOpener(opener, tarball.WithCompressionLevel(gzip.BestSpeed))
	if err != nil {
		return nil, fmt.Errorf("build image %s: %w", spec.Names[0], err)
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, fmt.Errorf("build image %s: %w", spec.Names[0], err)
	}
	img, err = mutate.ConfigFile(img, &v1.ConfigFile{
		Architecture: runtime.GOARCH,
		OS:           "linux",
		RootFS:       rootFS(img),
		Config:       v1.Config{User: spec.User, Entrypoint: spec.Entrypoint, Cmd: spec.Cmd, Env: []string{searchPath}},
	})
	if err != nil {
		return nil, fmt.Errorf("build image %s: %w", spec.Names[0], err)
	}
	return img, nil
}

func rootFS(img v1.Image) v1.RootFS {
	config, err := img.ConfigFile()
	if err != nil {
		return v1.RootFS{Type: "layers"}
	}
	return config.RootFS
}

// writeLayer writes the files as a tar stream, folders before what is in them, with nothing in it that changes from one
// build to the next.
func writeLayer(w io.Writer, files []File) error {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	out := tar.NewWriter(w)
	made := map[string]bool{"/": true}
	for _, f := range files {
		for _, dir := range parents(f.Path) {
			if made[dir] {
				continue
			}
			made[dir] = true
			if err := writeFile(out, File{Path: dir, Dir: true}); err != nil {
				return err
			}
		}
		made[f.Path] = made[f.Path] || f.Dir
		if err := writeFile(out, f); err != nil {
			return err
		}
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("end layer: %w", err)
	}
	return nil
}

func parents(file string) []string {
	var dirs []string
	for dir := path.Dir(file); dir != "/" && dir != "."; dir = path.Dir(dir) {
		dirs = append(dirs, dir)
	}
	slices.Reverse(dirs)
	return dirs
}

func writeFile(out *tar.Writer, f File) error {
	header := &tar.Header{
		Name:    strings.TrimPrefix(f.Path, "/"),
		Mode:    f.Mode,
		ModTime: time.Unix(0, 0),
		Format:  tar.FormatPAX,
	}
	if header.Mode == 0 {
		header.Mode = 0o755
	}
	var content io.Reader = strings.NewReader(f.Text)
	switch {
	case f.Dir:
		header.Typeflag, header.Name = tar.TypeDir, header.Name+"/"
	case f.Link != "":
		header.Typeflag, header.Linkname = tar.TypeSymlink, f.Link
	case f.Source != "":
		source, err := os.Open(f.Source)
		if err != nil {
			return fmt.Errorf("add %s: %w", f.Path, err)
		}
		defer func() { _ = source.Close() }()
		info, err := source.Stat()
		if err != nil {
			return fmt.Errorf("add %s: %w", f.Path, err)
		}
		header.Typeflag, header.Size, content = tar.TypeReg, info.Size(), source
	default:
		header.Typeflag, header.Size = tar.TypeReg, int64(len(f.Text))
	}
	if err := out.WriteHeader(header); err != nil {
		return fmt.Errorf("add %s: %w", f.Path, err)
	}
	if _, err := io.Copy(out, content); err != nil {
		return fmt.Errorf("add %s: %w", f.Path, err)
	}
	return nil
}
