// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/paia-tech/hotstandbyjob/lab/internal/image"
)

const (
	// processName is the name of the node's one process in its group.
	processName = "node"
	// startTime is how long containerd may take until it answers.
	startTime = 30 * time.Second
)

// Node is a node that runs.
type Node struct{ dir string }

// Start starts the node, or returns the one that runs already. It returns when containers can run; the kubelet may not
// have registered the node yet. After a crash or a kill, starting on the same folder is a reboot: pods come back.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	n := &Node{dir: cfg.Dir}
	if _, ok := cfg.Group.Running(processName); ok {
		return n, nil
	}
	if err := SetupNetwork(ctx, cfg); err != nil {
		return nil, err
	}
	// What is left of containers that were killed keeps the kubelet busy for seconds each when it starts.
	if err := removeCgroup(ctx, cfg.Index); err != nil {
		return nil, err
	}
	if err := makeCgroup(cfg.Index); err != nil {
		return nil, err
	}
	if err := writeFiles(cfg); err != nil {
		return nil, err
	}
	var images []v1.Descriptor
	for _, tarPath := range cfg.Images {
		stored, err := image.Store(ctx, cfg.Dir, tarPath)
		if err != nil {
			return nil, err
		}
		images = append(images, stored...)
	}
	if err := n.launch(ctx, cfg); err != nil {
		return nil, err
	}
	return n, image.Import(ctx, cfg.Dir, images)
}

// launch starts the node's process and waits for containerd.
func (n *Node) launch(ctx context.Context, cfg Config) error {
	if err := relink(cfg.BinDir, filepath.Join(cfg.Dir, image.BinLink)); err != nil {
		return err
	}
	spec := nodeProcess(cfg)
	pid, err := cfg.Group.Start(ctx, spec)
	if err != nil {
		return err
	}
	// The process is in the node's mount namespace, which is the only one that has containerd's socket.
	socket := filepath.Join("/proc", strconv.Itoa(pid), "root/run/containerd/containerd.sock")
	if err := await(ctx, cfg, socket); err != nil {
		return err
	}
	return relink(socket, filepath.Join(cfg.Dir, image.SocketLink))
}

// LoadImage puts the images of a tar file into the node.
func (n *Node) LoadImage(ctx context.Context, tarPath string) error {
	return image.Load(ctx, n.dir, tarPath)
}

func imagesPath(dir string) string { return filepath.Join(dir, image.StoreDir) }

// relink makes a symbolic link, in one step, in place of what is there.
func relink(target, path string) error {
	temp := path + ".tmp"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("link %s: %w", path, err)
	}
	if err := os.Symlink(target, temp); err != nil {
		return fmt.Errorf("link %s: %w", path, err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("link %s: %w", path, err)
	}
	return nil
}

// await waits until containerd listens.
func await(ctx context.Context, cfg Config, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
		if err == nil {
			return conn.Close()
		}
		if _, ok := cfg.Group.Running(processName); !ok {
			return fmt.Errorf("the node ended while starting: %s", cfg.Group.Tail(processName, 5))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for containerd, see %s: %w: %s",
				cfg.Group.LogFile("containerd"), context.Cause(ctx), cfg.Group.Tail("containerd", 3))
		case <-tick.C:
		}
	}
}

// Stop ends a node and removes everything of it: its process with all containers and mounts, cgroups, network and
// folder. It needs nothing but the folder, can be called at any time and again, and there is nothing to stop is no error.
func Stop(ctx context.Context, dir string) error {
	r, ok, err := readRecord(dir)
	if err != nil {
		return err
	}
	var failed []error
	if ok {
		// Nothing in the node has to end in an orderly way, and all of it ends with this process.
		if err := r.Group.Stop(ctx, 0, processName); err != nil {
			return err
		}
		if r.Claimed {
			failed = append(failed, removeCgroup(ctx, r.Index))
		}
		failed = append(failed, removeNetwork(ctx, dir, r.Index))
	}
	failed = append(failed, unmountBelow(ctx, dir))
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("stop the node: %w", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the node's folder: %w", err)
	}
	return nil
}
