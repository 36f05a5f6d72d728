// SPDX-License-Identifier: Apache-2.0

// Package tool runs programs that tests need: those that are built from this source tree's tool modules, and others.
package tool

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The versions of Helm that the chart is for.
const (
	Helm4 = "helm"
	Helm3 = "helm3"
)

// Root is the folder of the source tree.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// Output runs a command and returns what it printed, and an error with what it complained about.
func Output(command *exec.Cmd) (string, error) {
	var complaints bytes.Buffer
	command.Stderr = &complaints
	out, err := command.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", filepath.Base(command.Path), strings.Join(command.Args[1:], " "), err, complaints.String())
	}
	return string(out), err
}

// Helm runs one of the versions of Helm, in the root of the source tree.
func Helm(t testing.TB, version string, args ...string) (string, error) {
	t.Helper()
	home := t.TempDir()
	command := exec.CommandContext(t.Context(), "go", append([]string{"tool", "-modfile=tools/" + version + "/go.mod", "helm"}, args...)...)
	command.Dir = Root()
	command.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	return Output(command)
}

// Render is what `helm install` would make of the chart in a namespace, with some flags.
func Render(t testing.TB, version, namespace string, flags ...string) string {
	t.Helper()
	// Built without the flags of a release, Helm 3 takes it that it has an old Kubernetes before it.
	args := []string{"template", "hotstandbyjob", "charts/hotstandbyjob", "--namespace", namespace, "--kube-version", "1.37.0"}
	out, err := Helm(t, version, append(args, flags...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
