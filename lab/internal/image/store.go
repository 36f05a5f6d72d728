// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/paia-tech/hotstandbyjob/lab/internal/filelock"
	"github.com/paia-tech/hotstandbyjob/lab/internal/registry"
)

// named is an image with one of its names, in full.
type named struct {
	name  string
	image v1.Image
}

// FullName is the name that a container runtime makes of a short one: "busybox" gets its registry, folder and tag.
func FullName(short string) (string, error) {
	ref, err := name.ParseReference(short)
	if err != nil {
		return "", fmt.Errorf("image name %q: %w", short, err)
	}
	// The library writes the default registry's host with a prefix that runtimes leave out.
	return strings.TrimPrefix(ref.Name(), "index."), nil
}

// store is the images of a lab, as an OCI image layout. Its index is replaced in one step, since a registry reads it
// meanwhile.
type store struct{ dir string }

func (s store) indexPath() string { return filepath.Join(s.dir, "index.json") }

// add puts images into the store and returns their descriptors. A name that is there already gets the new image.
func (s store) add(ctx context.Context, images []named) ([]v1.Descriptor, error) {
	lock, err := filelock.Acquire(ctx, s.dir+".lock", nil)
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	index, err := s.index()
	if err != nil {
		return nil, err
	}
	var added []v1.Descriptor
	for _, n := range images {
		descriptor, err := s.write(n)
		if err != nil {
			return nil, err
		}
		index.Manifests = slices.DeleteFunc(index.Manifests, func(d v1.Descriptor) bool {
			return d.Annotations[registry.NameAnnotation] == n.name
		})
		index.Manifests = append(index.Manifests, descriptor)
		added = append(added, descriptor)
	}
	return added, s.replaceIndex(index)
}

func (s store) index() (*v1.IndexManifest, error) {
	file, err := os.Open(s.indexPath())
	if errors.Is(err, fs.ErrNotExist) {
		return newIndex(nil), s.create()
	}
	if err != nil {
		return nil, fmt.Errorf("read the lab's images: %w", err)
	}
	defer func() { _ = file.Close() }()
	index, err := v1.ParseIndexManifest(file)
	if err != nil {
		return nil, fmt.Errorf("read the lab's images: %w", err)
	}
	return index, nil
}

func (s store) create() error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return fmt.Errorf("create the folder of the lab's images: %w", err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "oci-layout"), []byte(layoutVersion), 0o644); err != nil {
		return fmt.Errorf("create the folder of the lab's images: %w", err)
	}
	return nil
}

// layoutVersion is the content of the file that marks a folder or tar file as an OCI image layout.
const layoutVersion = `{"imageLayoutVersion":"1.0.0"}`

func newIndex(manifests []v1.Descriptor) *v1.IndexManifest {
	return &v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: manifests}
}

// write writes the blobs of an image, which are left alone where they exist.
func (s store) write(n named) (v1.Descriptor, error) {
	if err := layout.Path(s.dir).WriteImage(n.image); err != nil {
		return v1.Descriptor{}, fmt.Errorf("store image %s: %w", n.name, err)
	}
	descriptor, err := partial.Descriptor(n.image)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("describe image %s: %w", n.name, err)
	}
	descriptor.Annotations = map[string]string{registry.NameAnnotation: n.name}
	return *descriptor, nil
}

func (s store) replaceIndex(index *v1.IndexManifest) error {
	raw, err := json.Marshal(index)
	if err != nil {
		return fmt.Errorf("list the lab's images: %w", err)
	}
	temp := s.indexPath() + ".tmp"
	if err := os.WriteFile(temp, raw, 0o644); err != nil {
		return fmt.Errorf("list the lab's images: %w", err)
	}
	if err := os.Rename(temp, s.indexPath()); err != nil {
		return fmt.Errorf("list the lab's images: %w", err)
	}
	return nil
}
