// SPDX-License-Identifier: Apache-2.0

package run

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
)

// lateEnd is a server of logs that has a container's whole output, but tells of it by and by and ends the stream late.
type lateEnd struct {
	whole string
	tell  chan string // closed: the stream ends
}

func (s *lateEnd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("follow") == "" {
		_, _ = io.WriteString(w, s.whole)
		return
	}
	w.WriteHeader(http.StatusOK)
	for {
		_ = http.NewResponseController(w).Flush()
		select {
		case text, ok := <-s.tell:
			if !ok {
				return
			}
			_, _ = io.WriteString(w, text)
		case <-r.Context().Done():
			return
		}
	}
}

func TestTheEndOfAStreamIsNotWaitedFor(t *testing.T) {
	for _, prefixed := range []bool{false, true} {
		t.Run(fmt.Sprintf("prefixed %v", prefixed), func(t *testing.T) {
			server, out := &lateEnd{whole: "one\ntwo\n", tell: make(chan string)}, &bytes.Buffer{}
			l := newLogs(serve(t, server), "worker", out, prefixed)
			l.follow(t.Context(), stream{pod: "p"})
			server.tell <- "one\n"
			shown := l.shown(t.Context())
			select {
			case <-shown:
				t.Fatal("not all is shown")
			case server.tell <- "two\n":
			}
			<-shown
			want := "one\ntwo\n"
			if prefixed {
				want = "[p] one\n[p] two\n"
			}
			if out.String() != want {
				t.Errorf("shown is %q", out)
			}
		})
	}
}

// A log that was rotated meanwhile, or is too long to be read twice, says nothing: then the stream's end does.
func TestTheEndOfAStreamCounts(t *testing.T) {
	for name, whole := range map[string]string{"rotated": "x", "long": string(make([]byte, little))} {
		t.Run(name, func(t *testing.T) {
			server, out := &lateEnd{whole: whole, tell: make(chan string)}, &bytes.Buffer{}
			l := newLogs(serve(t, server), "worker", out, false)
			l.follow(t.Context(), stream{pod: "p"})
			server.tell <- "one\n"
			shown := l.shown(t.Context())
			server.tell <- "two\n"
			select {
			case <-shown:
				t.Error("the end came before the stream's")
			default:
			}
			close(server.tell)
			<-shown
			if out.String() != "one\ntwo\n" {
				t.Errorf("shown is %q", out)
			}
		})
	}
}

// serve returns requests of a server's logs.
func serve(t *testing.T, h http.Handler) source {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return func(pod string, o *corev1.PodLogOptions) *rest.Request {
		r := rest.NewRequestWithClient(base, "", rest.ClientContentConfig{}, server.Client()).Verb(http.MethodGet).AbsPath("/" + pod).Timeout(time.Minute)
		if o.Follow {
			r = r.Param("follow", "true")
		}
		return r
	}
}
