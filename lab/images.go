// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/paia-tech/hotstandbyjob/lab/internal/build"
	"github.com/paia-tech/hotstandbyjob/lab/internal/image"
	"github.com/paia-tech/hotstandbyjob/lab/internal/system"
)

// The names of the images that are made of this repository. Manifests in it use them.
const (
	OperatorImage = image.Operator
	WorkerImage   = image.Worker
)

// WriteOperatorImage builds the operator and the entrypoint of standby pods as they are in this checkout, and writes the
// image that has both to a tar file, which labs, Docker, containerd and kind can load.
func WriteOperatorImage(ctx context.Context, progress io.Writer, tarPath string) error {
	dir, err := os.MkdirTemp("", "hotstandbyjob-image-")
	if err != nil {
		return fmt.Errorf("build the operator's image: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for _, name := range image.OperatorPrograms() {
		if err := build.Program(ctx, progress, "./cmd/"+name, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return writeImage(image.ForOperator(dir), tarPath)
}

// WriteWorkerImage builds the demo worker and writes its image to a tar file. The real node of a lab has it already.
func WriteWorkerImage(ctx context.Context, progress io.Writer, tarPath string) error {
	bin, err := build.Ensure(ctx, progress, build.Components(build.Programs, build.Stamp)...)
	if err != nil {
		return err
	}
	return writeImage(image.ForWorker(bin), tarPath)
}

func writeImage(spec image.Spec, tarPath string) error {
	if err := os.MkdirAll(filepath.Dir(tarPath), 0o755); err != nil {
		return fmt.Errorf("write image: %w", err)
	}
	return image.Build(spec, tarPath)
}

// Checkout is the folder of the repository that this program was built in, or is run in.
func Checkout() (string, error) { return build.Root() }

// EnsurePackages installs those of some Debian packages that are missing where it may, and otherwise returns an error with the
// command to run. On a machine that is no Debian it only tells progress their names.
func EnsurePackages(ctx context.Context, progress io.Writer, packages ...string) error {
	return system.Ensure(ctx, progress, packages...)
}
