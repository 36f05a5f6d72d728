// SPDX-License-Identifier: Apache-2.0

package page

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/streaming/pkg/httpstream"
)

// fakeConnection is one through the API server. Of its streams nothing comes but what failed.
type fakeConnection struct {
	failure chan string
	closed  chan bool
}

func (c *fakeConnection) CreateStream(header http.Header) (httpstream.Stream, error) {
	s := &fakeStream{}
	s.Reader, s.end = io.Pipe()
	if header.Get(corev1.StreamType) == corev1.StreamTypeError {
		go func() {
			_, _ = io.WriteString(s.end, <-c.failure)
			_ = s.end.Close()
		}()
	}
	return s, nil
}

func (c *fakeConnection) Close() error                     { close(c.closed); return nil }
func (c *fakeConnection) CloseChan() <-chan bool           { return c.closed }
func (*fakeConnection) SetIdleTimeout(time.Duration)       {}
func (*fakeConnection) RemoveStreams(...httpstream.Stream) {}

// fakeStream ends when it is reset.
type fakeStream struct {
	io.Reader

	end   *io.PipeWriter
	reset atomic.Bool
}

func (s *fakeStream) Write(p []byte) (int, error) {
	if s.reset.Load() {
		return 0, errors.New("websocket: close sent")
	}
	return len(p), nil
}
func (*fakeStream) Close() error         { return nil }
func (s *fakeStream) Reset() error       { s.reset.Store(true); return s.end.Close() }
func (*fakeStream) Headers() http.Header { return nil }
func (*fakeStream) Identifier() uint32   { return 0 }

// The API server keeps a connection to a pod that is gone, and each stream of it fails.
func TestAConnectionWhosePodIsGoneIsNotUsedAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		closed  bool // before something fails
		failure string
		again   bool
	}{
		"the pod is gone":            {false, "network namespace is closed\n", false},
		"it ends":                    {false, "", true},
		"it fails, and nobody waits": {true, "broken pipe\n", true},
		"it ends, and nobody waits":  {true, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			through := &fakeConnection{failure: make(chan string), closed: make(chan bool)}
			to := &tunnel{connection: through}
			c, err := to.open()
			if err != nil {
				t.Fatal(err)
			}
			if tc.closed {
				_ = c.Close()
			}
			through.failure <- tc.failure
			<-c.failed
			if to.connection != nil != tc.again {
				t.Errorf("the connection is used again: %v, want %v", !tc.again, tc.again)
			}
			if tc.again {
				return
			}
			if _, err := c.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "namespace is closed") {
				t.Errorf("reading ends with %v", err)
			}
			if _, err := c.Write([]byte{1}); err == nil || !strings.Contains(err.Error(), "namespace is closed") {
				t.Errorf("writing ends with %v", err)
			}
			select {
			case <-through.closed:
			default:
				t.Error("the connection isn't closed")
			}
		})
	}
}

// Why a connection ended may get lost with it.
func TestAConnectionThatEndsUnansweredSaysSo(t *testing.T) {
	through := &fakeConnection{failure: make(chan string), closed: make(chan bool)}
	to := &tunnel{connection: through}
	c, err := to.open()
	if err != nil {
		t.Fatal(err)
	}
	through.failure <- ""
	data, _ := c.Stream.(*fakeStream)
	_ = data.end.Close()
	if _, err := c.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "--ui-address=0?): the connection ended") {
		t.Errorf("reading ends with %v", err)
	}
}
