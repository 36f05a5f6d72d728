// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/paia-tech/hotstandbyjob/internal/protocol"
	"github.com/paia-tech/hotstandbyjob/internal/protocol/standbyv1"
)

// attachedPod is a pod that has a stream.
func attachedPod(t *testing.T, args ...string) (*pod, *server) {
	t.Helper()
	k := newKubelet(t)
	s := newServer(t, k)
	p := newPod(t, k, append([]string{"--gateway-url", s.URL}, args...)...)
	if a := <-s.attached; a.GetLaunchId() != "" || a.GetStartedUnixNano() != 0 || a.GetWork() != standbyv1.Work_WORK_UNSPECIFIED {
		t.Fatalf("an idle pod attached with %v", a)
	}
	return p, s
}

func TestALaunchComesOverTheStreamAndIsReported(t *testing.T) {
	before := time.Now()
	p, s := attachedPod(t)
	s.payloads <- encoded(t, launchOf("echo launched; exec sleep 60"))
	p.says("launched")
	report := <-s.reports
	if at := time.Unix(0, report.GetStartedUnixNano()); report.GetLaunchId() != "launch-1" || at.Before(before) || at.After(time.Now()) {
		t.Errorf("it reported %v", report)
	}
	<-s.closed // it needs the stream no more
	p.signal(syscall.SIGTERM)
	p.wants(143)
	if p.out.String() != "launched\n" {
		t.Errorf("it wrote %q", p.out.String())
	}
}

func TestALaunchThatEndsAtOnceIsReported(t *testing.T) {
	p, s := attachedPod(t)
	s.mu.Lock() // no report is taken
	take := sync.OnceFunc(s.mu.Unlock)
	defer take()
	s.payloads <- encoded(t, launchOf("echo ran as $$$$; exit 6"))
	p.says("\n")
	var pid int
	if _, err := fmt.Sscanf(p.out.String(), "ran as %d\n", &pid); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the command has ended", func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
	take()
	p.wants(6)
	select {
	case r := <-s.reports:
		if r.GetLaunchId() != "launch-1" {
			t.Errorf("it reported %v", r)
		}
	default:
		t.Error("it reported nothing")
	}
}

// Whatever the order in which a pod hears of its launch, it is run once.
func TestALaunchIsRunOnce(t *testing.T) {
	script := `trap 'exit 0' USR1; echo launched; while :; do sleep 0.01; done`
	for name, hear := range map[string]func(t *testing.T, p *pod, s *server){
		"over the stream, then from the file": func(t *testing.T, p *pod, s *server) {
			s.payloads <- encoded(t, launchOf(script))
			p.launch(launchOf(script))
		},
		"from the file, then over the stream": func(t *testing.T, p *pod, s *server) {
			p.launch(launchOf(script))
			select {
			case s.payloads <- encoded(t, launchOf(script)):
			case <-s.closed: // it was reported already
			}
		},
		"twice over the stream, while reports are refused": func(t *testing.T, _ *pod, s *server) {
			s.refuseReports(errDown)
			s.payloads <- encoded(t, launchOf(script))
			s.payloads <- encoded(t, launchOf(script))
			s.refuseReports(nil)
		},
		"on two streams": func(t *testing.T, p *pod, s *server) {
			s.refuseReports(errDown)
			s.payloads <- encoded(t, launchOf(script))
			p.says("launched")
			s.endStreams()
			if a := <-s.attached; a.GetLaunchId() != "launch-1" {
				t.Errorf("it attached with %v", a)
			}
			select {
			case s.payloads <- encoded(t, launchOf(script)):
			case <-s.closed: // attaching has reported it
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, s := attachedPod(t)
			hear(t, p, s)
			p.says("launched")
			p.signal(syscall.SIGUSR1)
			p.wants(0)
			if n := strings.Count(p.out.String(), "launched"); n != 1 {
				t.Errorf("it ran %d times: %q", n, p.out.String())
			}
		})
	}
}

func TestAReportIsRepeatedUntilItIsTaken(t *testing.T) {
	p, s := attachedPod(t)
	s.refuseReports(errDown)
	before := len(s.asked())
	s.payloads <- encoded(t, launchOf("echo launched; exec sleep 60"))
	p.says("launched")
	eventually(t, "it reports twice", func() bool { return len(s.asked()) >= before+2 })
	s.refuseReports(nil)
	if r := <-s.reports; r.GetLaunchId() != "launch-1" {
		t.Errorf("it reported %v", r)
	}
}

func TestABrokenStreamIsOpenedAgain(t *testing.T) {
	for name, cut := range map[string]func(s *server){
		"that the gateway ended":             func(s *server) { s.endStreams() },
		"whose connection broke":             func(s *server) { s.CloseClientConnections() },
		"and the token is refused meanwhile": func(s *server) { refuseOnce(s, connect.CodeUnauthenticated) },
		"and may not attach meanwhile":       func(s *server) { refuseOnce(s, connect.CodePermissionDenied) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, s := attachedPod(t)
			p.write(map[string]string{"token": "second token\n"})
			cut(s)
			<-s.attached
			s.payloads <- encoded(t, launchOf("exit 6"))
			p.wants(6)
			if tokens := s.asked(); !slices.Contains(tokens, "Bearer first token") || !slices.Contains(tokens, "Bearer second token") {
				t.Errorf("it came with %q", tokens)
			}
		})
	}
}

// refuseOnce cuts the stream, and refuses the first attempt to attach again.
func refuseOnce(s *server, code connect.Code) {
	s.refuse(connect.NewError(code, errors.New("your token is of no use")))
	before := len(s.asked())
	s.endStreams()
	for len(s.asked()) == before {
		time.Sleep(time.Millisecond)
	}
	s.refuse(nil)
}

// The gateway's certificate authority is in an annotation, and may come later than the pod.
func TestTheCertificateAuthorityIsAwaited(t *testing.T) {
	k := newKubelet(t)
	s := newServer(t, k)
	authority := k.files["gateway-ca.crt"]
	k.write(map[string]string{"gateway-ca.crt": ""})
	p := newPod(t, k, "--gateway-url", s.URL)
	p.says("gateway-ca.crt has no certificate")
	k.write(map[string]string{"gateway-ca.crt": authority})
	<-s.attached
	s.payloads <- encoded(t, launchOf("exit 6"))
	p.wants(6)
}

func TestAGatewayThatCannotBeReachedIsSaidOnce(t *testing.T) {
	k := newKubelet(t)
	s := newServer(t, k)
	s.refuse(connect.NewError(connect.CodeUnauthenticated, errors.New("who are you")))
	p := newPod(t, k, "--gateway-url", s.URL)
	eventually(t, "it has tried often enough", func() bool { return len(s.asked()) >= WorthALine+2 })
	k.launch(launchOf("exit 0"))
	p.wants(0)
	if lines := strings.Count(p.out.String(), "\n"); lines != 1 || !strings.Contains(p.out.String(), "unauthenticated: who are you") {
		t.Errorf("it wrote %q", p.out.String())
	}
}

func TestAStreamWithoutAServiceBehindItIsRefused(t *testing.T) {
	k := newKubelet(t)
	s := newServer(t, k)
	s.Config.Handler = nil // the default: 404 for everything
	p := newPod(t, k, "--gateway-url", s.URL)
	p.says("404 Not Found")
}

func TestALaunchThatCannotBeReadFailsThePod(t *testing.T) {
	p, s := attachedPod(t)
	s.payloads <- `{"id":"launch-1"}`
	p.wants(1)
	if !strings.Contains(p.lastWords(), "launch: decode payload: command is empty") {
		t.Errorf("its last words are %q", p.lastWords())
	}
}

func TestALaunchComesFromTheFileAlone(t *testing.T) {
	for name, write := range map[string]func(k *kubelet, p protocol.Payload){
		"as the kubelet writes it": func(k *kubelet, p protocol.Payload) { k.launch(p) },
		"after other changes": func(k *kubelet, p protocol.Payload) {
			for range 20 {
				k.write(map[string]string{"token": "another token"})
			}
			k.launch(p)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKubelet(t)
			p := newPod(t, k, "--warmup", `["true"]`)
			eventually(t, "it is ready", func() bool { return Ready(Config{RunDir: p.run}) == nil })
			write(k, launchOf("exit 6"))
			p.wants(6)
		})
	}
}

// A node has a limited number of watches. Without one the file is still read.
func TestAFileThatCannotBeWatchedIsRead(t *testing.T) {
	heard := make(chan string, 1)
	f := &payloadFile{dir: filepath.Join(t.TempDir(), "not there yet"), launch: func(p string) { heard <- p }, log: discard()}
	go f.run(t.Context())
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.dir, "payload"), []byte("a launch\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; got != "a launch" {
		t.Errorf("it read %q", got)
	}
}
