// SPDX-License-Identifier: Apache-2.0

// Package simnode runs nodes that exist only in the API: kwok plays the kubelet. Pods on them become Running and end
// when they are told to; no container runs, so that thousands of them fit on a small machine.
package simnode

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"

	"github.com/paia-tech/hotstandbyjob/lab/internal/process"
)

// Process is the name of kwok's process.
const Process = "kwok"

// What tells simulated nodes from real ones, and what lets pods on them.
const (
	// LabelKey is the label of every simulated node; kwok manages those that have it, and pods select it.
	LabelKey = "type"
	// LabelValue is what it says.
	LabelValue = "kwok"
	// TaintKey is the taint that keeps away the pods that did not ask for a simulated node.
	TaintKey = "kwok.x-k8s.io/node"
	// TaintValue is what it says.
	TaintValue = "fake"
	// ExitAnnotation on a pod ends it with the exit code that it holds.
	ExitAnnotation = "lab.hsj.paia.tech/exit"
	// ReadyAnnotation on a pod says whether its containers become ready: "false" if not.
	ReadyAnnotation = "lab.hsj.paia.tech/ready"
)

//go:embed stages.yaml
var stages []byte

// settings come before the stages. In a configuration file kwok takes what is missing for zero, so everything that
// must not be zero is named.
const settings = `apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokConfiguration
options:
  manageAllNodes: false
  manageNodesWithLabelSelector: %s=%s
  nodeIP: 127.0.0.1
  cidr: %s
  nodeLeaseDurationSeconds: 40
  nodeLeaseParallelism: 8
  podPlayStageParallelism: 16
  nodePlayStageParallelism: 8
  podsOnNodeSyncParallelism: 4
  enableDebuggingHandlers: true
  enablePodsOnNodeSyncListPager: true
  enablePodsOnNodeSyncStreamWatch: false
---
`

// podRange is where the addresses of simulated pods come from. Nothing is behind them.
const podRange = "10.128.0.0/14"

// Config describes the simulation of one lab.
type Config struct {
	// Group starts kwok.
	Group process.Group
	// Program returns the path of a program.
	Program func(name string) string
	// Dir is where kwok's configuration goes.
	Dir string
	// Kubeconfig is kwok's.
	Kubeconfig string
}

func (c Config) writeSettings() (string, error) {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return "", fmt.Errorf("configure kwok: %w", err)
	}
	path := filepath.Join(c.Dir, "kwok.yaml")
	text := fmt.Appendf(nil, settings, LabelKey, LabelValue, podRange)
	if err := os.WriteFile(path, append(text, stages...), 0o644); err != nil {
		return "", fmt.Errorf("configure kwok: %w", err)
	}
	return path, nil
}
