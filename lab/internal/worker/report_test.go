// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/paia-tech/hotstandbyjob/lab/internal/system"
)

func TestFileIsThereWhileBusy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "busy_state")
	f := fileReporter{path: path}
	for _, state := range []State{Starting, Idle, Busy, Busy, Idle} {
		if err := f.Report(t.Context(), state); err != nil {
			t.Fatal(err)
		}
		_, err := os.Stat(path)
		if there := err == nil; there != (state == Busy) {
			t.Errorf("state %s: the file is there: %v", state, there)
		}
	}
	if err := errors.Join(f.Report(t.Context(), Busy), f.Withdraw(t.Context())); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the file outlived the worker")
	}
}

func TestAnnotationOfOwnPod(t *testing.T) {
	type call struct{ Method, Path, Type, Token, Body string }
	var calls []call
	status := http.StatusOK
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		calls = append(calls, call{r.Method, r.URL.Path, r.Header.Get("Content-Type"), r.Header.Get("Authorization"), string(body)})
		w.WriteHeader(status)
		_, _ = w.Write([]byte("pods is forbidden"))
	}))
	defer server.Close()
	dir := t.TempDir()
	token := func(s string) { write(t, filepath.Join(dir, "token"), s) }
	write(t, filepath.Join(dir, "ca.crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	env := func(key string) string {
		return map[string]string{"KUBERNETES_SERVICE_HOST": address.Hostname(), "KUBERNETES_SERVICE_PORT": address.Port()}[key]
	}
	a, err := newAnnotationReporter(Options{Annotation: "paia.tech/busy", Pod: Pod{Namespace: "games", Name: "w-1"}}, env, dir)
	if err != nil {
		t.Fatal(err)
	}
	token("first\n")
	if err := a.Report(t.Context(), Busy); err != nil {
		t.Error(err)
	}
	token("second")
	if err := a.Report(t.Context(), Idle); err != nil {
		t.Error(err)
	}
	want := []call{
		{"PATCH", "/api/v1/namespaces/games/pods/w-1", "application/merge-patch+json", "Bearer first", `{"metadata":{"annotations":{"paia.tech/busy":"true"}}}`},
		{"PATCH", "/api/v1/namespaces/games/pods/w-1", "application/merge-patch+json", "Bearer second", `{"metadata":{"annotations":{"paia.tech/busy":null}}}`},
	}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	status = http.StatusForbidden
	if err := a.Report(t.Context(), Busy); err == nil || !strings.Contains(err.Error(), "pods is forbidden") {
		t.Errorf("error is %v, want the server's reason in it", err)
	}
}

func TestSocketIsTold(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "report.sock")
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var calls []string
	status := http.StatusNoContent
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls = append(calls, r.Method+" "+r.URL.Path)
		w.WriteHeader(status)
	})}}
	server.Start()
	defer server.Close()
	s := newSocketReporter(socket)
	for _, state := range []State{Starting, Idle, Busy, Idle} {
		if err := s.Report(t.Context(), state); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"POST /idle", "POST /busy", "POST /idle"}, calls); diff != "" {
		t.Errorf("the socket was told (-want +got):\n%s", diff)
	}
	status = http.StatusNotFound
	if err := s.Report(t.Context(), Busy); err == nil {
		t.Error("a report that was refused passed for one that arrived")
	}
	if err := s.Withdraw(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestRedisEntry(t *testing.T) {
	address := startRedis(t)
	client := redis.NewClient(&redis.Options{Addr: address})
	defer func() { _ = client.Close() }()
	clock := testingclock.NewFakePassiveClock(time.Unix(1_700_000_000, 0))
	r := newRedisReporter(Options{Redis: RedisOptions{Address: address, Key: "mlgame-daemon-pod"}, Pod: Pod{Name: "w-1"}}, clock)
	for _, state := range []State{Starting, Idle, Busy} {
		if err := r.Report(t.Context(), state); err != nil {
			t.Fatal(err)
		}
		raw, err := client.HGet(t.Context(), "mlgame-daemon-pod", "w-1").Result()
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal([]byte(raw), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]any{"status": string(state), "updated_at": 1.7e9}, got); diff != "" {
			t.Errorf("entry (-want +got):\n%s", diff)
		}
	}
	if err := r.Withdraw(t.Context()); err != nil {
		t.Fatal(err)
	}
	if there, err := client.HExists(t.Context(), "mlgame-daemon-pod", "w-1").Result(); err != nil || there {
		t.Errorf("the entry is there after the worker has ended: %v, error %v", there, err)
	}
}

func startRedis(t *testing.T) string {
	t.Helper()
	if err := system.Ensure(t.Context(), io.Discard, "redis-server"); err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(address, ":")
	cmd := exec.CommandContext(t.Context(), "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	client := redis.NewClient(&redis.Options{Addr: address})
	defer func() { _ = client.Close() }()
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		if client.Ping(t.Context()).Err() == nil {
			tick.Stop()
			return address
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("redis-server does not answer")
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestParse(t *testing.T) {
	pod := map[string]string{"POD_NAME": "w-1", "POD_NAMESPACE": "games"}
	for name, tc := range map[string]struct {
		args    string
		env     map[string]string
		check   func(Options) bool
		wantErr string
	}{
		"defaults":             {env: pod, check: func(o Options) bool { return o.BusyBy == ByNone && o.Listen == ":8080" && o.Pod.Name == "w-1" }},
		"times":                {args: "--idle 5s --busy-for=1m --jitter", env: pod, check: func(o Options) bool { return o.BusyAfter == 5*time.Second && o.BusyFor == time.Minute && o.Jitter }},
		"the seed's Redis":     {args: "-busy-by redis", env: map[string]string{"POD_NAME": "w", "POD_NAMESPACE": "n", "REDIS_HOST": "r", "REDIS_PORT": "1", "REDIS_DB": "2", "REDIS_PASSWORD": "p", "REDIS_KEY_PREFIX": "k"}, check: func(o Options) bool { return o.Redis == RedisOptions{Address: "r:1", Password: "p", Key: "k", DB: 2} }},
		"unknown way":          {args: "-busy-by telepathy", env: pod, wantErr: "choose none, file"},
		"nobody can ask":       {args: "-busy-by http -listen=", env: pod, wantErr: "needs -listen"},
		"no namespace":         {args: "-busy-by annotation", env: map[string]string{"POD_NAME": "w"}, wantErr: "POD_NAMESPACE"},
		"exit code too high":   {args: "-exit 256", env: pod, wantErr: "choose 0 to 255"},
		"negative time":        {args: "-busy-for -1s", env: pod, wantErr: "must not be negative"},
		"word after the flags": {args: "-exit 1 now", env: pod, wantErr: `unexpected argument "now"`},
		"bad database":         {env: map[string]string{"REDIS_DB": "x"}, wantErr: "REDIS_DB"},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := Parse(strings.Fields(tc.args), func(key string) string { return tc.env[key] })
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("error is %v, want one with %q", err, tc.wantErr)
				}
				return
			}
			if err != nil || !tc.check(o) {
				t.Errorf("got %+v, error %v", o, err)
			}
		})
	}
}
