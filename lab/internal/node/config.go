// SPDX-License-Identifier: Apache-2.0

// Package node runs a real Kubernetes node on this machine: containerd, kubelet and kube-proxy in namespaces of their
// own, with networking between pods, host and Services. All of it hangs on one process and one folder: killing the
// process ends every container, and Stop removes what is left from what the folder says.
package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/paia-tech/hotstandbyjob/lab/internal/process"
)

// Config describes a node.
type Config struct {
	// Dir is the state folder of this node. Stop removes it.
	Dir string
	// BinDir has containerd, ctr, runc, the CNI plugins, kubelet, kube-proxy and nodeinit.
	BinDir string
	// LabName and NodeName are what they say.
	LabName, NodeName string
	// Index picks the addresses and the names on the host, so that labs don't clash. See Network and FreeIndex.
	Index int
	Addresses
	// Group is where the node's process belongs; its Logs folder takes the logs of the node's programs.
	Group process.Group
	// KubeletKubeconfig and ProxyKubeconfig are paths of kubeconfig files.
	KubeletKubeconfig, ProxyKubeconfig string
	// ClientCA is the path of the certificate authority of the kubelet's clients, which is the API server above all.
	ClientCA string
	// ServingCert and ServingKey are paths of the kubelet's serving certificate; without them it signs its own.
	ServingCert, ServingKey string
	// Images are tar files that the node has from the start.
	Images []string
}

// record is what Stop needs: it is written before anything else is done.
type record struct {
	Index int           `json:"index"`
	Group process.Group `json:"group"`
	// Claimed says that the index is this lab's, and with it the cgroup of that name.
	Claimed bool `json:"claimed"`
}

func recordPath(dir string) string { return filepath.Join(dir, "node.json") }

func writeRecord(cfg Config, claimed bool) error {
	raw, err := json.Marshal(record{Index: cfg.Index, Group: cfg.Group, Claimed: claimed})
	if err != nil {
		return fmt.Errorf("describe the node: %w", err)
	}
	temp := recordPath(cfg.Dir) + ".tmp"
	if err := os.WriteFile(temp, raw, 0o600); err != nil {
		return fmt.Errorf("write the node's record: %w", err)
	}
	if err := os.Rename(temp, recordPath(cfg.Dir)); err != nil {
		return fmt.Errorf("write the node's record: %w", err)
	}
	return nil
}

func readRecord(dir string) (record, bool, error) {
	var r record
	raw, err := os.ReadFile(recordPath(dir))
	if errors.Is(err, os.ErrNotExist) {
		return r, false, nil
	}
	if err != nil {
		return r, false, fmt.Errorf("read the node's record: %w", err)
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, false, fmt.Errorf("read the node's record %s: %w", recordPath(dir), err)
	}
	return r, true, nil
}
