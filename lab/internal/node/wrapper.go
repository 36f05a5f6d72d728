// SPDX-License-Identifier: Apache-2.0

package node

import (
	"path/filepath"

	"github.com/paia-tech/hotstandbyjob/lab/internal/process"
)

// nodeProcess is the process that everything hangs on. It enters the node's network namespace, makes a mount and a
// process namespace and starts nodeinit as process 1 in them. Killing it kills process 1, with that the kernel kills
// every process in the namespace, and with the last of them go all mounts.
func nodeProcess(cfg Config) process.Spec {
	return process.Spec{
		Name: processName,
		Path: "nsenter",
		Args: []string{
			"--net=" + netnsPath(cfg.Dir),
			"unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc", "--kill-child",
			filepath.Join(cfg.BinDir, "nodeinit"), specPath(cfg.Dir),
		},
	}
}

// Packages are the Debian packages that a node needs at run time.
func Packages() []string {
	return []string{"busybox-static", "iproute2", "mount", "nftables", "util-linux"}
}
