// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/paia-tech/hotstandbyjob/lab"
)

// TestPodsOutliveTheNodesPrograms kills programs of a node of its own, since other tests use the shared one.
func TestPodsOutliveTheNodesPrograms(t *testing.T) {
	if testing.Short() {
		t.Skip("it needs a lab of its own")
	}
	options := lab.Options{Name: "node-faults", Progress: io.Discard}
	l, err := lab.Up(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if !l.HasNode() {
		t.Skip("this lab has no real node: run the tests as root on Linux")
	}
	c := cluster{lab: l, namespace: "default"}
	c.startWeb(t)
	for _, config := range []string{"containerd.toml", "kubelet.yaml", "kube-proxy.yaml"} {
		t.Run(config, func(t *testing.T) {
			killUser(t, filepath.Join(filepath.Dir(l.Logs()), "node", config))
			c.eventually(t, "alive", "exec", "web", "--", "echo", "alive")
			c.must(t, "", "run", strings.TrimSuffix(config, filepath.Ext(config)), "--image=busybox", "--restart=Never", "--", "true")
			c.eventually(t, "Succeeded", "get", "pod", strings.TrimSuffix(config, filepath.Ext(config)), "--output", "jsonpath={.status.phase}")
		})
	}
	if got := c.get(t, "{.status.containerStatuses[0].restartCount}", "pod", "web"); got != "0" {
		t.Errorf("the pod was started again %s times", got)
	}
	t.Run("all at once", func(t *testing.T) {
		killUser(t, filepath.Join(filepath.Dir(l.Logs()), "node", "nodeinit.json"))
		if _, err := lab.Up(t.Context(), options); err != nil {
			t.Fatal(err)
		}
		c.eventually(t, "1", "get", "pod", "web", "--output", "jsonpath={.status.containerStatuses[0].restartCount}")
		c.must(t, "", "wait", "--for=condition=Ready", "pod/web", "--timeout=60s")
		c.eventually(t, "served", "exec", "web", "--", "wget", "-q", "-O-", "http://front/")
	})
}

// killUser kills the programs that were started with this file.
func killUser(t *testing.T, file string) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	killed := 0
	for _, line := range lines {
		raw, err := os.ReadFile(line)
		pid, err2 := strconv.Atoi(filepath.Base(filepath.Dir(line)))
		if err != nil || err2 != nil || !strings.Contains(string(raw), file) {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err == nil {
			killed++
		}
	}
	if killed == 0 {
		t.Fatalf("no process uses %s", file)
	}
}
