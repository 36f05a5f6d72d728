// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// The channels of the exec protocol.
const (
	channelStdout = 1
	channelStderr = 2
	channelError  = 3
)

// apiServer is as much of an API server as exec needs.
type apiServer struct {
	t        *testing.T
	requests atomic.Int64
	seen     atomic.Pointer[url.URL]
	ended    chan struct{}                                 // closed when the WebSocket's client has gone
	lasting  bool                                          // the command doesn't end
	socket   func(send func(channel byte, data string))    // what the command writes; nil: no WebSockets
	spdy     func() metav1.Status                          // what SPDY ends with; nil: no SPDY
	refusal  func(http.ResponseWriter, *http.Request, int) // instead of both
}

func (a *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := a.requests.Add(1)
	a.seen.Store(r.URL)
	switch {
	case a.refusal != nil:
		a.refusal(w, r, int(n))
	case websocket.IsWebSocketUpgrade(r) && a.socket != nil:
		a.serveSocket(w, r)
	case r.Method == http.MethodPost && a.spdy != nil:
		a.serveSPDY(w, r)
	default:
		http.Error(w, "no such protocol", http.StatusBadRequest)
	}
}

func (a *apiServer) serveSocket(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{Subprotocols: []string{"v5.channel.k8s.io"}}
	c, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		a.t.Errorf("upgrade: %v", err)
		return
	}
	defer func() { _ = c.Close() }()
	a.socket(func(channel byte, data string) {
		_ = c.WriteMessage(websocket.BinaryMessage, append([]byte{channel}, data...)) // the client may have gone
	})
	for err == nil && a.lasting {
		_, _, err = c.ReadMessage()
	}
	_ = c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
	close(a.ended)
}

func (a *apiServer) serveSPDY(w http.ResponseWriter, r *http.Request) {
	if _, err := httpstream.Handshake(r, w, []string{"v4.channel.k8s.io"}); err != nil {
		a.t.Errorf("handshake: %v", err)
		return
	}
	streams := make(chan httpstream.Stream, 3)
	c := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
		streams <- s
		return nil
	})
	for range 3 { // error, stdout, stderr
		if s := <-streams; s.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
			_, _ = s.Write([]byte(status(a.t, a.spdy())))
			_ = s.Close()
		} else {
			_ = s.Close()
		}
	}
	<-c.CloseChan()
}

func status(t *testing.T, s metav1.Status) string {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func exitStatus(code int) metav1.Status {
	if code == 0 {
		return metav1.Status{Status: metav1.StatusSuccess}
	}
	return metav1.Status{
		Status: metav1.StatusFailure, Reason: "NonZeroExitCode", Message: "command terminated",
		Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: "ExitCode", Message: strconv.Itoa(code)}}},
	}
}

// executorFor returns an executor that speaks to the API server.
func executorFor(t *testing.T, a *apiServer) Executor {
	t.Helper()
	a.t, a.ended = t, make(chan struct{})
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	config := &rest.Config{Host: server.URL, Timeout: time.Nanosecond} // that of other requests isn't exec's
	before := rest.CopyConfig(config)
	e, err := NewExecutor(config)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before.String(), config.String()); diff != "" {
		t.Errorf("the configuration isn't what it was (-want +got):\n%s", diff)
	}
	return e
}

var somePod = Target{Namespace: "games", Name: "game-1", Container: "game"}

func TestExecutorReturnsTheExitCode(t *testing.T) {
	for _, code := range []int{0, 1, 3, 137} {
		a := &apiServer{socket: func(send func(byte, string)) {
			send(channelStdout, "some output")
			send(channelStderr, "and errors")
			send(channelError, status(t, exitStatus(code)))
		}}
		got, err := executorFor(t, a).Exec(t.Context(), somePod, []string{"cat", "/a b"})
		if err != nil || got != code {
			t.Errorf("exit code %d, error %v; want %d", got, err, code)
		}
		if seen := a.seen.Load(); seen.Path != "/api/v1/namespaces/games/pods/game-1/exec" {
			t.Errorf("path %s", seen.Path)
		}
		want := url.Values{"command": {"cat", "/a b"}, "container": {"game"}, "stdout": {"true"}, "stderr": {"true"}}
		if diff := cmp.Diff(want, a.seen.Load().Query()); diff != "" {
			t.Errorf("query (-want +got):\n%s", diff)
		}
	}
}

func TestExecutorFallsBackToSPDY(t *testing.T) {
	for _, code := range []int{0, 3} {
		a := &apiServer{spdy: func() metav1.Status { return exitStatus(code) }}
		got, err := executorFor(t, a).Exec(t.Context(), somePod, []string{"true"})
		if err != nil || got != code {
			t.Errorf("exit code %d, error %v; want %d", got, err, code)
		}
	}
}

// Defects 11 and 14: what hangs is cut off, and leaves nothing behind.
func TestExecutorMindsItsContext(t *testing.T) {
	a := &apiServer{lasting: true, socket: func(func(byte, string)) {}}
	e := executorFor(t, a)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := e.Exec(ctx, somePod, []string{"sleep"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v; want that the time is up", err)
	}
	<-a.ended
}

func TestExecutorLimitsTheOutput(t *testing.T) {
	a := &apiServer{lasting: true, socket: func(send func(byte, string)) {
		for range 40 {
			send(channelStdout, strings.Repeat("x", 32<<10))
		}
	}}
	_, err := executorFor(t, a).Exec(t.Context(), somePod, []string{"yes"})
	if err == nil || !strings.Contains(err.Error(), "wrote more than 1048576 bytes") {
		t.Errorf("error %v; want that it writes too much", err)
	}
	<-a.ended
}

func TestExecutorPassesRefusalsOn(t *testing.T) {
	refuse := func(refusal *apierrors.StatusError) func(http.ResponseWriter, *http.Request, int) {
		return func(w http.ResponseWriter, _ *http.Request, _ int) {
			refusal.ErrStatus.APIVersion, refusal.ErrStatus.Kind = "v1", "Status"
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(int(refusal.ErrStatus.Code))
			_, _ = w.Write([]byte(status(t, refusal.ErrStatus)))
		}
	}
	pod := corev1.Resource("pods")
	for name, tc := range map[string]struct {
		refusal  *apierrors.StatusError
		is       func(error) bool
		requests int64
	}{
		"403, of both protocols":       {apierrors.NewForbidden(pod, "game-1", errors.New("no")), apierrors.IsForbidden, 2},
		"404, which isn't asked twice": {apierrors.NewNotFound(pod, "game-1"), apierrors.IsNotFound, 1},
		"400":                          {apierrors.NewBadRequest("no such container"), apierrors.IsBadRequest, 2},
	} {
		t.Run(name, func(t *testing.T) {
			a := &apiServer{refusal: refuse(tc.refusal)}
			if _, err := executorFor(t, a).Exec(t.Context(), somePod, []string{"true"}); !tc.is(err) {
				t.Errorf("error %v", err)
			}
			if n := a.requests.Load(); n != tc.requests {
				t.Errorf("%d requests; want %d", n, tc.requests)
			}
		})
	}
}

func TestExecutorWithoutAnAPIServer(t *testing.T) {
	e, err := NewExecutor(&rest.Config{Host: "http://127.0.0.1:" + strconv.Itoa(int(closedPort(t)))})
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Exec(t.Context(), somePod, []string{"true"})
	if got := cause(err); got != "connection refused" {
		t.Errorf("cause %q of %v", got, err)
	}
}
