// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/paia-tech/hotstandbyjob/internal/protocol/standbyv1"
)

// workload asks the entrypoint of its pod, over a connection for each question.
type workload struct {
	t      *testing.T
	client *http.Client
}

func newWorkload(t *testing.T, socket string) workload {
	t.Helper()
	eventually(t, "there is a socket for everybody", func() bool {
		info, err := os.Stat(socket)
		return err == nil && info.Mode().Perm() == 0o666
	})
	return workload{t, &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}}
}

// asks returns the response's status and body.
func (w workload) asks(method, path string) (int, string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, "http://localhost"+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	response, err := w.client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func (w workload) wants(method, path string, status int) {
	w.t.Helper()
	if got, text := w.asks(method, path); got != status {
		w.t.Fatalf("%s %s: %d %s, want %d", method, path, got, text, status)
	}
}

// pulls are the flags of a pod that fetches its work by itself.
func pulls(t *testing.T, script string) (socket string, args []string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "report.sock")
	return socket, []string{"--pull", "--socket", socket, "--", "sh", "-c", script}
}

func TestTheWorkloadsReportReachesTheGateway(t *testing.T) {
	socket, args := pulls(t, "echo works; exec sleep 60")
	if err := os.WriteFile(socket, nil, 0o600); err != nil { // as a container leaves it that is restarted
		t.Fatal(err)
	}
	p, s := attachedPod(t, args...)
	p.says("works")
	w := newWorkload(t, socket)
	if status, state := w.asks("GET", "/state"); status != 200 || state != "unknown\n" {
		t.Errorf("%d %q", status, state)
	}
	for _, step := range []struct {
		method, path string
		want         standbyv1.Work
	}{
		{"POST", "/busy", standbyv1.Work_WORK_BUSY}, {"PUT", "/idle", standbyv1.Work_WORK_IDLE}, {"PUT", "/busy", standbyv1.Work_WORK_BUSY},
	} {
		w.wants(step.method, step.path, http.StatusNoContent)
		if r := <-s.reports; r.GetWork() != step.want || r.GetLaunchId() != "" {
			t.Errorf("%s %s was reported as %v", step.method, step.path, r)
		}
	}
	w.wants("POST", "/busy", http.StatusNoContent) // the gateway knows it already
	if status, state := w.asks("GET", "/state"); status != 200 || state != "busy\n" || len(s.reports) != 0 {
		t.Errorf("%d %q, %d reports", status, state, len(s.reports))
	}
	w.wants("GET", "/busy", http.StatusMethodNotAllowed)
	w.wants("POST", "/lazy", http.StatusNotFound)
	p.signal(syscall.SIGTERM)
	p.wants(143)
	if p.out.String() != "works\n" {
		t.Errorf("it wrote %q", p.out.String())
	}
}

func TestAReportIsKeptForAGatewayThatIsAway(t *testing.T) {
	socket, args := pulls(t, "exec sleep 60")
	_, s := attachedPod(t, args...)
	w := newWorkload(t, socket)
	s.refuse(errDown)
	s.endStreams()
	w.wants("POST", "/busy", http.StatusAccepted)
	w.wants("POST", "/idle", http.StatusAccepted)
	w.wants("POST", "/busy", http.StatusAccepted)
	s.refuse(nil)
	// It is told by the attachment or by a report, whichever comes first.
	for busy := false; !busy; {
		select {
		case a := <-s.attached:
			busy = a.GetWork() == standbyv1.Work_WORK_BUSY
		case r := <-s.reports:
			busy = r.GetWork() == standbyv1.Work_WORK_BUSY
		}
	}
}

func TestAWorkloadWithoutAGatewayIsRun(t *testing.T) {
	socket, args := pulls(t, "trap 'exit 5' TERM; echo works; while :; do sleep 0.01; done")
	p := newPod(t, newKubelet(t), args...)
	p.says("works")
	newWorkload(t, socket).wants("POST", "/busy", http.StatusAccepted)
	p.signal(syscall.SIGTERM)
	p.wants(5)
}

func TestASocketThatCannotBeServedFailsThePod(t *testing.T) {
	p := newPod(t, newKubelet(t), "--pull", "--socket", "/no/such/directory/socket", "--", "echo", "works")
	p.wants(1)
	if !strings.Contains(p.lastWords(), "serve reports: ") || strings.Contains(p.out.String(), "works") {
		t.Errorf("its last words are %q, it wrote %q", p.lastWords(), p.out.String())
	}
}
