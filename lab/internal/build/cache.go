// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/paia-tech/hotstandbyjob/lab/internal/filelock"
)

// tempPrefix begins the names of folders that are being filled.
const tempPrefix = "building-"

// SourceVariable is the environment variable that names the checkout's lab folder where it cannot be found otherwise.
const SourceVariable = "HSJ_LAB_SOURCE"

// CacheDir is the folder that built programs are kept in.
func CacheDir() (string, error) {
	if dir := os.Getenv(CacheVariable); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for built programs, set %s: %w", CacheVariable, err)
	}
	return filepath.Join(dir, "hotstandbyjob", "lab"), nil
}

// Source is the folder with the components' modules. They are modules of their own and therefore not part of a
// downloaded lab module: a checkout is needed.
func Source() (string, error) {
	var candidates []string
	if dir := os.Getenv(SourceVariable); dir != "" {
		candidates = append(candidates, dir)
	}
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		candidates = append(candidates, filepath.Join(filepath.Dir(file), "..", ".."))
	}
	if dir, err := os.Getwd(); err == nil {
		for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			candidates = append(candidates, dir, filepath.Join(dir, "lab"))
		}
	}
	for _, dir := range candidates {
		if exists(filepath.Join(dir, "build", Kubernetes, "go.mod")) {
			return filepath.Abs(filepath.Join(dir, "build"))
		}
	}
	return "", fmt.Errorf("cannot find the lab's sources: run this in a checkout of the repository or set %s to its lab folder", SourceVariable)
}

// binDir is the folder with the binaries of all these components.
func (b builder) binDir(components []Component) (string, error) {
	h := sha256.New()
	for _, c := range components {
		dir, err := b.componentDir(c)
		if err != nil {
			return "", err
		}
		h.Write([]byte(filepath.Base(dir) + "\n"))
	}
	return filepath.Join(b.cache, KubernetesVersion+"-"+short(h.Sum(nil)), "bin"), nil
}

// componentDir is the folder of one component: its name says everything that the binaries in it depend on.
func (b builder) componentDir(c Component) (string, error) {
	key, err := b.key(c)
	return filepath.Join(b.cache, "components", c.Name+"-"+key), err
}

// key is a hash of the component's description, the toolchain and the module's files. The versions are in go.mod, and
// what the modules hold is in go.sum.
func (b builder) key(c Component) (string, error) {
	description, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("describe %s: %w", c.Name, err)
	}
	h := sha256.New()
	h.Write(description)
	h.Write([]byte("\n" + b.goVersion + "\n"))
	dir := filepath.Join(b.source, c.Dir)
	files, err := sources(dir, c.Sources)
	if err != nil {
		return "", fmt.Errorf("read the module of %s: %w", c.Name, err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return "", fmt.Errorf("read the module of %s: %w", c.Name, err)
		}
		sum := sha256.Sum256(raw)
		h.Write([]byte(filepath.ToSlash(file) + " " + hex.EncodeToString(sum[:]) + "\n"))
	}
	return short(h.Sum(nil)), nil
}

// sources lists the files of a module's folder, or of those parts of it that are named, without tests.
func sources(dir string, parts []string) ([]string, error) {
	deep := len(parts) > 0
	if !deep {
		parts = []string{"."}
	}
	var files []string
	for _, part := range parts {
		err := filepath.WalkDir(filepath.Join(dir, part), func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() && !deep && path != filepath.Clean(dir) {
				return fs.SkipDir
			}
			if !entry.Type().IsRegular() || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			file, err := filepath.Rel(dir, path)
			files = append(files, file)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("list sources: %w", err)
		}
	}
	return files, nil
}

// removeRemains removes what builds left behind that were killed. It is called with the lock held, so no build is
// under way.
func (b builder) removeRemains() error {
	remains, err := filepath.Glob(filepath.Join(b.cache, tempPrefix+"*"))
	if err != nil {
		return fmt.Errorf("look for remains of builds: %w", err)
	}
	for _, dir := range remains {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove remains of a build: %w", err)
		}
	}
	return nil
}

// publish puts a folder in its place in one step, so that a folder that exists is whole.
func publish(temp, dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("publish %s: %w", dir, err)
	}
	if err := os.Chmod(temp, 0o755); err != nil {
		return fmt.Errorf("publish %s: %w", dir, err)
	}
	if err := os.Rename(temp, dir); err != nil {
		return fmt.Errorf("publish %s: %w", dir, err)
	}
	return nil
}

func lock(ctx context.Context, path string, waiting func()) (func(), error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("create the cache folder: %w", err)
	}
	l, err := filelock.Acquire(ctx, path, waiting)
	if err != nil {
		return nil, err
	}
	return l.Release, nil
}

func short(sum []byte) string { return hex.EncodeToString(sum)[:12] }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func contains(names []string, name string) bool { return slices.Contains(names, name) }

func majorMinor(version string) (major, minor string) {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	return parts[0], parts[1]
}
