// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Places in the folder of a node that this package and package node agree on.
const (
	// StoreDir has the images of the lab.
	StoreDir = "images"
	// BinLink is a link to the folder of the lab's binaries.
	BinLink = "bin"
	// SocketLink is a link to containerd's socket as this machine sees it. It is there while the node runs.
	SocketLink = "containerd.sock"
)

// Load puts the images of a tar file into the lab whose node has this folder: into its registry, for pods that always
// pull, and into containerd, for pods that never do.
func Load(ctx context.Context, nodeDir, tarPath string) error {
	added, err := Store(ctx, nodeDir, tarPath)
	if err != nil {
		return err
	}
	return Import(ctx, nodeDir, added)
}

// Store puts the images of a tar file into the registry of a lab, whether its node runs or not.
func Store(ctx context.Context, nodeDir, tarPath string) ([]v1.Descriptor, error) {
	scratch, err := os.MkdirTemp(nodeDir, "load-")
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", tarPath, err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	images, err := read(tarPath, scratch)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", tarPath, err)
	}
	added, err := store{dir: filepath.Join(nodeDir, StoreDir)}.add(ctx, images)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", tarPath, err)
	}
	return added, nil
}

// Import gives images of the lab's registry to containerd.
func Import(ctx context.Context, nodeDir string, images []v1.Descriptor) error {
	// A path through a link can be longer than a socket's address may be.
	socket, err := os.Readlink(filepath.Join(nodeDir, SocketLink))
	if err != nil {
		return fmt.Errorf("find the lab's node, which must be running: %w", err)
	}
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(store{dir: filepath.Join(nodeDir, StoreDir)}.export(writer, images)) }()
	defer func() { _ = reader.Close() }()
	cmd := exec.CommandContext(ctx, filepath.Join(nodeDir, BinLink, "ctr"),
		"--address", socket, "--namespace", "k8s.io", "images", "import", "-")
	var output bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = reader, &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("import images into containerd: %w: %s", err, bytes.TrimSpace(output.Bytes()))
	}
	return nil
}

// export writes images as the tar file of an OCI image layout.
func (s store) export(w io.Writer, images []v1.Descriptor) error {
	out := tar.NewWriter(w)
	index, err := json.Marshal(newIndex(images))
	if err != nil {
		return fmt.Errorf("export images: %w", err)
	}
	for file, content := range map[string][]byte{"oci-layout": []byte(layoutVersion), "index.json": index} {
		if err := s.entry(out, file, int64(len(content)), bytes.NewReader(content)); err != nil {
			return err
		}
	}
	written := map[v1.Hash]bool{}
	for _, d := range images {
		blobs, err := s.blobs(d)
		if err != nil {
			return err
		}
		for _, digest := range blobs {
			if written[digest] {
				continue
			}
			written[digest] = true
			if err := s.exportBlob(out, digest); err != nil {
				return err
			}
		}
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("export images: %w", err)
	}
	return nil
}

// blobs are the blobs of an image, its manifest included.
func (s store) blobs(d v1.Descriptor) ([]v1.Hash, error) {
	raw, err := os.ReadFile(s.blobPath(d.Digest))
	if err != nil {
		return nil, fmt.Errorf("export image: %w", err)
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("export image: %w", err)
	}
	blobs := []v1.Hash{d.Digest, manifest.Config.Digest}
	for _, layer := range manifest.Layers {
		blobs = append(blobs, layer.Digest)
	}
	return blobs, nil
}

func (s store) blobPath(digest v1.Hash) string {
	return filepath.Join(s.dir, "blobs", digest.Algorithm, digest.Hex)
}

func (s store) exportBlob(out *tar.Writer, digest v1.Hash) error {
	file, err := os.Open(s.blobPath(digest))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("export image: blob %s is missing, load the image again: %w", digest, err)
	}
	if err != nil {
		return fmt.Errorf("export image: %w", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("export image: %w", err)
	}
	return s.entry(out, "blobs/"+digest.Algorithm+"/"+digest.Hex, info.Size(), file)
}

func (s store) entry(out *tar.Writer, path string, size int64, content io.Reader) error {
	header := &tar.Header{Name: path, Typeflag: tar.TypeReg, Mode: 0o644, Size: size, ModTime: time.Unix(0, 0)}
	if err := out.WriteHeader(header); err != nil {
		return fmt.Errorf("export images: %w", err)
	}
	if _, err := io.Copy(out, content); err != nil {
		return fmt.Errorf("export images: %w", err)
	}
	return nil
}
