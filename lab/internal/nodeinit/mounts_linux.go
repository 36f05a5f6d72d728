// SPDX-License-Identifier: Apache-2.0

package nodeinit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// tempDir is where programs put temporary mount points; it vanishes with the node.
const tempDir = "/run/tmp"

// prepareMounts gives the node folders of its own where its programs have fixed paths. All of it happens in the mount
// namespace of the node and is invisible from outside.
func prepareMounts(spec Spec) error {
	if below(spec.Keep, "/run") {
		return fmt.Errorf("the lab's folders %v must not be below /run, which a node has for itself: choose others", spec.Keep)
	}
	// runc and the shims use /run whatever containerd's configuration says. CNI keeps results in /var/lib/cni, the
	// kubelet makes links in /var/log/containers: neither has a setting.
	for _, dir := range []string{"/run", "/var/lib", "/var/log"} {
		if below(spec.Keep, dir) {
			continue
		}
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=755"); err != nil {
			return fmt.Errorf("mount an empty %s: %w", dir, err)
		}
	}
	if err := os.MkdirAll(tempDir, 0o700); err != nil {
		return fmt.Errorf("prepare %s: %w", tempDir, err)
	}
	// Volumes that the kubelet mounts must reach containers that are running already.
	if err := syscall.Mount("", "/", "", syscall.MS_SHARED|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("share mounts with containers: %w", err)
	}
	return nil
}

// below reports whether one of the paths is the folder or in it. Symbolic links are looked through.
func below(paths []string, dir string) bool {
	for _, path := range paths {
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			path = resolved
		}
		if path == dir || strings.HasPrefix(path, dir+"/") {
			return true
		}
	}
	return false
}
