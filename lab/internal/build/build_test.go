// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// program makes a module with a program that prints its name and a variable that the linker sets.
func program(t *testing.T) builder {
	t.Helper()
	b := builder{source: t.TempDir(), cache: t.TempDir(), goVersion: "go1 linux amd64", progress: &bytes.Buffer{}}
	write(t, filepath.Join(b.source, "p", "go.mod"), "module example.com/p\n\ngo 1.26.0\n")
	write(t, filepath.Join(b.source, "p", "main.go"), `package main

import "os"

var version string

func main() { os.Stdout.WriteString(os.Args[0][len(os.Args[0])-1:] + version) }
`)
	return b
}

func component() Component {
	return Component{
		Name: "p", Dir: "p", Packages: map[string]string{"a": "."}, Links: []string{"b"}, LDFlags: []string{"-X", "main.version=1"},
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func key(t *testing.T, b builder, c Component) string {
	t.Helper()
	k, err := b.key(c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeyChangesWithEverythingThatTheBinaryDependsOn(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, b *builder, c *Component){
		"toolchain":    func(_ *testing.T, b *builder, _ *Component) { b.goVersion = "go2 linux amd64" },
		"tags":         func(_ *testing.T, _ *builder, c *Component) { c.Tags = []string{"x"} },
		"linker flags": func(_ *testing.T, _ *builder, c *Component) { c.LDFlags = []string{"-X", "main.version=2"} },
		"environment":  func(_ *testing.T, _ *builder, c *Component) { c.Env = []string{"CGO_ENABLED=1"} },
		"packages":     func(_ *testing.T, _ *builder, c *Component) { c.Packages = map[string]string{"z": "."} },
		"links":        func(_ *testing.T, _ *builder, c *Component) { c.Links = nil },
		"versions":     func(t *testing.T, b *builder, _ *Component) { write(t, filepath.Join(b.source, "p", "go.sum"), "x") },
		"source":       func(t *testing.T, b *builder, _ *Component) { write(t, filepath.Join(b.source, "p", "x.go"), "x") },
	} {
		t.Run(name, func(t *testing.T) {
			b, c := program(t), component()
			before := key(t, b, c)
			change(t, &b, &c)
			if key(t, b, c) == before {
				t.Error("the key is the same: an old binary would be used")
			}
		})
	}
}

func TestKeyIgnoresTestsAndWhatIsNotNamed(t *testing.T) {
	b, c := program(t), component()
	before := key(t, b, c)
	write(t, filepath.Join(b.source, "p", "x_test.go"), "x")
	write(t, filepath.Join(b.source, "p", "other", "x.go"), "x")
	if key(t, b, c) != before {
		t.Error("the key changed without need")
	}
	c.Sources = []string{"go.mod", "other"}
	named := key(t, b, c)
	write(t, filepath.Join(b.source, "p", "main.go"), "x")
	if key(t, b, c) != named {
		t.Error("the key depends on a file that is not among the sources")
	}
	write(t, filepath.Join(b.source, "p", "other", "deep", "x.go"), "x")
	if key(t, b, c) == named {
		t.Error("the key does not depend on a file in a folder among the sources")
	}
}

func TestEnsureBuildsOnceAndAllNamesWork(t *testing.T) {
	b := program(t)
	var said bytes.Buffer
	b.progress = &said
	bin, err := b.ensure(t.Context(), []Component{component()})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		out, err := exec.CommandContext(t.Context(), filepath.Join(bin, name)).Output()
		if err != nil || string(out) != name+"1" {
			t.Errorf("%s prints %q (%v), want its name and version 1", name, out, err)
		}
	}
	if !strings.Contains(said.String(), "building p") || !strings.Contains(said.String(), "built p in ") {
		t.Errorf("progress is %q, want what is built and how long it took", said.String())
	}
	said.Reset()
	again, err := b.ensure(t.Context(), []Component{component()})
	if err != nil || again != bin || said.Len() > 0 {
		t.Errorf("a second call gives %s (%v) and says %q, want %s and silence", again, err, said.String(), bin)
	}
	left, err := filepath.Glob(filepath.Join(b.cache, tempPrefix+"*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestTwoBuildsAtOnceBuildOnce(t *testing.T) {
	b := program(t)
	var said syncBuffer
	b.progress = &said
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			if _, err := b.ensure(t.Context(), []Component{component()}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := strings.Count(said.String(), "built p in "); n != 1 {
		t.Errorf("built %d times, want once:\n%s", n, said.String())
	}
}

func TestFailedAndKilledBuildsLeaveNothingThatIsTakenForABinary(t *testing.T) {
	b := program(t)
	remains := filepath.Join(b.cache, tempPrefix+"killed")
	write(t, filepath.Join(remains, "a"), "half a binary")
	good, err := os.ReadFile(filepath.Join(b.source, "p", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(b.source, "p", "main.go"), "package main\nfunc main() { undefined() }\n")
	_, err = b.ensure(t.Context(), []Component{component()})
	if err == nil || !strings.Contains(err.Error(), "undefined") || !strings.Contains(err.Error(), "build p") {
		t.Errorf("error is %v, want the component and what the compiler says", err)
	}
	if exists(remains) {
		t.Error("the remains of a killed build are still there")
	}
	write(t, filepath.Join(b.source, "p", "main.go"), string(good))
	if _, err := b.ensure(t.Context(), []Component{component()}); err != nil {
		t.Errorf("build after a failed one: %v", err)
	}
}

func TestEnsureEndsWithTheContext(t *testing.T) {
	b := program(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.ensure(ctx, []Component{component()}); err == nil {
		t.Error("no error although the context has ended")
	}
}

func TestTableAgreesWithTheModules(t *testing.T) {
	source, err := Source()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(source, Kubernetes, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), "k8s.io/kubernetes "+KubernetesVersion+"\n") {
		t.Errorf("the kubernetes module does not pin %s", KubernetesVersion)
	}
	seen := map[string]string{}
	for _, c := range Components() {
		if !exists(filepath.Join(source, c.Dir, "go.mod")) || !exists(filepath.Join(source, c.Dir, "go.sum")) {
			t.Errorf("%s: go.mod or go.sum is missing in %s", c.Name, c.Dir)
		}
		if len(c.Links) > 0 && len(c.Packages) != 1 {
			t.Errorf("%s: links need exactly one binary", c.Name)
		}
		for binary := range c.Packages {
			if other, ok := seen[binary]; ok {
				t.Errorf("%s and %s both make %s", c.Name, other, binary)
			}
			seen[binary] = c.Name
		}
	}
}

func TestComponentsByName(t *testing.T) {
	var names []string
	for _, c := range Components(Kwok, Kubernetes) {
		names = append(names, c.Name)
	}
	if diff := cmp.Diff([]string{Kubernetes, Kwok}, names); diff != "" {
		t.Errorf("chosen (-want +got):\n%s", diff)
	}
}

type syncBuffer struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.text.Write(p)
}

func (s *syncBuffer) String() string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.text.String()
}
