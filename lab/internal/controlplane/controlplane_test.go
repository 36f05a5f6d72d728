// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/paia-tech/hotstandbyjob/lab/internal/pki"
	"github.com/paia-tech/hotstandbyjob/lab/internal/process"
)

func TestProgramHonoursAssets(t *testing.T) {
	assets := t.TempDir()
	for _, name := range []string{Etcd, Scheduler} {
		if err := os.WriteFile(filepath.Join(assets, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct{ assets, program, want string }{
		"not set":                            {"", Etcd, "/bin-dir/etcd"},
		"it has etcd":                        {assets, Etcd, filepath.Join(assets, Etcd)},
		"it does not have the API server":    {assets, APIServer, "/bin-dir/kube-apiserver"},
		"others are never taken from there":  {assets, Scheduler, "/bin-dir/kube-scheduler"},
		"it names a folder that is not here": {"/nowhere", Etcd, "/bin-dir/etcd"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBEBUILDER_ASSETS", tc.assets)
			if got := Program("/bin-dir")(tc.program); got != tc.want {
				t.Errorf("program is %s, want %s", got, tc.want)
			}
		})
	}
}

func flagsOf(t *testing.T, c Config) map[string][]string {
	t.Helper()
	c.Program = func(name string) string { return "/" + name }
	c.PKI = pki.Locate("/pki")
	flags := map[string][]string{}
	for _, spec := range []process.Spec{c.etcd(), c.apiServer(), c.controllerManager(), c.scheduler()} {
		flags[spec.Name] = spec.Args
	}
	return flags
}

func TestFlags(t *testing.T) {
	for name, tc := range map[string]struct {
		config  Config
		process string
		flag    string
		want    bool
	}{
		"etcd does not wait for the disk":         {Config{}, Etcd, "--unsafe-no-fsync", true},
		"unless it is told to":                    {Config{Fsync: true}, Etcd, "--unsafe-no-fsync", false},
		"the manager's client is not limited":     {Config{}, ControllerManager, "--kube-api-qps=2000", true},
		"nor the scheduler's":                     {Config{}, Scheduler, "--kube-api-qps=2000", true},
		"unless that is what is compared":         {Config{DefaultClientLimits: true}, ControllerManager, "--kube-api-qps=2000", false},
		"loopback cannot be an endpoint":          {Config{Address: loopback}, APIServer, "--endpoint-reconciler-type=none", true},
		"the link to a node can":                  {Config{Address: "10.90.0.1"}, APIServer, "--endpoint-reconciler-type=none", false},
		"nodes are authorized":                    {Config{}, APIServer, "--authorization-mode=Node,RBAC", true},
		"nothing listens on all addresses":        {Config{Address: "10.90.0.1"}, APIServer, "--bind-address=10.90.0.1", true},
		"the managers listen on loopback only":    {Config{Address: "10.90.0.1"}, ControllerManager, "--bind-address=127.0.0.1", true},
		"kubelets are not trusted without a name": {Config{}, APIServer, "--kubelet-certificate-authority=/pki/ca.crt", true},
	} {
		t.Run(name, func(t *testing.T) {
			flags := flagsOf(t, tc.config)[tc.process]
			if got := slices.Contains(flags, tc.flag); got != tc.want {
				t.Errorf("%s with %s: %v, want %v:\n%s", tc.process, tc.flag, got, tc.want, strings.Join(flags, "\n"))
			}
		})
	}
}

func TestAPartThatEndsIsReportedWithItsLastWords(t *testing.T) {
	dir := t.TempDir()
	files, err := pki.Ensure(pki.Config{Dir: filepath.Join(dir, "pki"), Cluster: "c", ServerURL: "https://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "dies")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho the disk is full\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := Config{
		Group: process.Group{Run: filepath.Join(dir, "run"), Logs: filepath.Join(dir, "logs"), Mark: dir},
		PKI:   files, Address: loopback, Ports: Ports{APIServer: 1},
		Program: func(string) string { return script },
	}
	t.Cleanup(func() { _ = c.Group.Sweep(context.WithoutCancel(t.Context())) })
	err = c.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "has ended") || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("error is %v, want one that says who ended and its last words", err)
	}
}
