// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/paia-tech/hotstandbyjob/internal/protocol"
)

// asStandby has the test's binary be the entrypoint: only one process of its own can reap all others.
const asStandby = "TEST_AS_STANDBY"

func TestMain(m *testing.M) {
	if log := os.Getenv(asStandby); log != "" {
		os.Exit(beStandby(log))
	}
	goleak.VerifyTestMain(m)
}

func beStandby(terminationLog string) int {
	c := DefaultConfig()
	c.TerminationLog = terminationLog
	flags := flag.NewFlagSet("standby", flag.ExitOnError)
	c.Bind(flags)
	_ = flags.Parse(os.Args[1:])
	c.Command = flags.Args()
	environ := slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, asStandby+"=") })
	code, err := Run(context.Background(), c, Deps{
		Now: time.Now, Random: func() float64 { return 0 }, Environ: environ, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "standby:", err)
	}
	return code
}

// output is what a process has written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// pod is an entrypoint that runs, with its volumes.
type pod struct {
	*kubelet
	t       *testing.T
	process *exec.Cmd
	out     output // stdout and stderr, in order
	run     string // the directory for the ready file and the socket
	log     string // the termination log
	ended   chan struct{}
}

// newPod starts an entrypoint.
func newPod(t *testing.T, k *kubelet, args ...string) *pod {
	t.Helper()
	p := preparePod(t, k, args...)
	p.start()
	return p
}

func preparePod(t *testing.T, k *kubelet, args ...string) *pod {
	t.Helper()
	p := &pod{kubelet: k, t: t, run: t.TempDir(), ended: make(chan struct{})}
	p.log = filepath.Join(t.TempDir(), "termination-log")
	if err := os.WriteFile(p.log, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	args = append([]string{"--launch-dir", k.dir, "--run-dir", p.run}, args...)
	p.process = exec.Command(os.Args[0], args...) //nolint:noctx // it is killed in the cleanup
	p.process.Env = append(os.Environ(), asStandby+"="+p.log, "BASE=base",
		"GORACE=atexit_sleep_ms=0") // or each process would take a second longer
	p.process.Stdout, p.process.Stderr = &p.out, &p.out
	p.process.Stdin = strings.NewReader("what nobody shall read\n")
	p.process.WaitDelay = time.Second // what a command leaves running holds its output open
	return p
}

func (p *pod) start() {
	p.t.Helper()
	if err := p.process.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		_ = p.process.Wait()
		close(p.ended)
	}()
	p.t.Cleanup(func() {
		_ = p.process.Process.Kill()
		<-p.ended
	})
}

func (p *pod) pid() int { return p.process.Process.Pid }

func (p *pod) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.process.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wants waits for the end, and compares the exit code.
func (p *pod) wants(code int) {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(30 * time.Second):
		p.t.Fatalf("it still runs, and has written %q", p.out.String())
	}
	if got := p.process.ProcessState.ExitCode(); got != code {
		p.t.Fatalf("exit code %d, want %d; it wrote %q", got, code, p.out.String())
	}
}

// says waits until the pod has written something.
func (p *pod) says(text string) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("it writes %q", text), func() bool { return strings.Contains(p.out.String(), text) })
}

// lastWords are in the termination log.
func (p *pod) lastWords() string {
	p.t.Helper()
	words, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(words)
}

// eventually is for what other processes do.
func eventually(t *testing.T, what string, question func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !question() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("in vain: %s", what)
		}
	}
}

// kubelet keeps a projected volume, as the kubelet does: in a directory of its own, to which the link ..data points.
type kubelet struct {
	t       testing.TB
	dir     string
	files   map[string]string
	version int
}

func newKubelet(t testing.TB) *kubelet {
	t.Helper()
	k := &kubelet{t: t, dir: t.TempDir(), files: map[string]string{}}
	k.write(map[string]string{"payload": "", "token": "first token", "gateway-ca.crt": ""})
	return k
}

// write changes files, all of them at once.
func (k *kubelet) write(files map[string]string) {
	k.t.Helper()
	k.version++
	data := fmt.Sprintf("..version_%d", k.version)
	check := func(err error) {
		k.t.Helper()
		if err != nil {
			k.t.Fatal(err)
		}
	}
	check(os.Mkdir(filepath.Join(k.dir, data), 0o755))
	maps.Copy(k.files, files)
	for name, text := range k.files {
		check(os.WriteFile(filepath.Join(k.dir, data, name), []byte(text), 0o600))
	}
	link := filepath.Join(k.dir, "..data")
	before, _ := os.Readlink(link)
	check(os.Symlink(data, link+"_tmp"))
	check(os.Rename(link+"_tmp", link))
	for name := range k.files {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(k.dir, name)); err != nil && !os.IsExist(err) {
			check(err)
		}
	}
	if before != "" {
		check(os.RemoveAll(filepath.Join(k.dir, before)))
	}
}

// launch has the payload appear in its file.
func (k *kubelet) launch(p protocol.Payload) {
	k.t.Helper()
	k.write(map[string]string{"payload": encoded(k.t, p)})
}

// launchOf is a launch of a shell script.
func launchOf(script string) protocol.Payload {
	return protocol.Payload{ID: "launch-1", Command: []string{"sh", "-c", script}}
}

func encoded(t testing.TB, p protocol.Payload) string {
	t.Helper()
	text, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return text
}
