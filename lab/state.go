// SPDX-License-Identifier: Apache-2.0

package lab

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

	"github.com/paia-tech/hotstandbyjob/lab/internal/controlplane"
	"github.com/paia-tech/hotstandbyjob/lab/internal/filelock"
	"github.com/paia-tech/hotstandbyjob/lab/internal/pki"
)

// folder is where a lab lives.
type folder struct{ root, name, dir string }

// state is what is known of a lab beside its processes. It is written before anything is started.
type state struct {
	// Version is the Kubernetes version that the lab was made with.
	Version string `json:"version"`
	// BinDir has the programs.
	BinDir string `json:"binDir"`
	// Images is the tar file with the images that the real node was given.
	Images string `json:"images,omitempty"`
	// Real says that there is a real node, Index which addresses it has.
	Real  bool `json:"real"`
	Index int  `json:"index"`
	// Address is where the API server listens, ServiceCIDR where Services are.
	Address     string             `json:"address"`
	ServiceCIDR string             `json:"serviceCIDR"`
	Ports       controlplane.Ports `json:"ports"`
	SimNodes    int                `json:"simNodes"`
	// Fsync and DefaultClientLimits are as in Options.
	Fsync               bool `json:"fsync"`
	DefaultClientLimits bool `json:"defaultClientLimits"`
}

const stateFile = "lab.json"

func locate(name string) (folder, error) {
	if err := checkName(name); err != nil {
		return folder{}, err
	}
	root, err := stateRoot()
	if err != nil {
		return folder{}, err
	}
	return folder{root: root, name: name, dir: filepath.Join(root, name)}, nil
}

func (f folder) path(elem ...string) string {
	return filepath.Join(append([]string{f.dir}, elem...)...)
}

func (f folder) pki() pki.Files { return pki.Locate(f.path("pki")) }

func (f folder) lock(ctx context.Context, waiting func()) (*filelock.Lock, error) {
	return filelock.Acquire(ctx, f.dir+".lock", waiting)
}

// load reads the state; found is false when there is none.
func (f folder) load() (s state, found bool, err error) {
	raw, err := os.ReadFile(f.path(stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, false, nil
	}
	if err != nil {
		return s, false, fmt.Errorf("read the state of lab %s: %w", f.name, err)
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, false, fmt.Errorf("read the state of lab %s, take it down: %w", f.name, err)
	}
	return s, true, nil
}

func (f folder) save(s state) error {
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write the state of lab %s: %w", f.name, err)
	}
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return fmt.Errorf("write the state of lab %s: %w", f.name, err)
	}
	temp := f.path(stateFile + ".tmp")
	if err := os.WriteFile(temp, append(raw, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the state of lab %s: %w", f.name, err)
	}
	if err := os.Rename(temp, f.path(stateFile)); err != nil {
		return fmt.Errorf("write the state of lab %s: %w", f.name, err)
	}
	return nil
}

// Names returns the names of all labs that have a state, running or not.
func Names() ([]string, error) {
	root, err := stateRoot()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list labs: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && checkName(e.Name()) == nil {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, strings.Compare)
	return names, nil
}
