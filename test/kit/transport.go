// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
)

// Through is the namespace with the operator's requests going through wrap. The test's own do not.
func (e *Env) Through(wrap transport.WrapperFunc) *Env {
	other := *e
	other.Config = rest.CopyConfig(e.Config)
	other.Config.Wrap(wrap)
	return &other
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Requests notes the requests that are made, but for watches.
type Requests struct {
	mu   sync.Mutex
	seen []string
}

// Wrap makes a transport that notes its requests.
func (r *Requests) Wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		if !watches(request) {
			r.mu.Lock()
			r.seen = append(r.seen, request.Method+" "+request.URL.RequestURI())
			r.mu.Unlock()
		}
		return next.RoundTrip(request)
	})
}

// Seen are the requests since the n-th.
func (r *Requests) Seen(n int) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.seen[n:]...)
}

// Count is the number of requests.
func (r *Requests) Count() int { return len(r.Seen(0)) }

func watches(r *http.Request) bool {
	value := r.URL.Query().Get("watch")
	return value == "true" || value == "1"
}

// ErrAnswerLost is what the operator gets in place of an answer that was lost.
var ErrAnswerLost = errors.New("connection reset by peer (by the test)")

// LoseAnswers makes a transport that has the server carry out each n-th of the requests that which chooses and then
// loses its answer. It counts the answers that were lost.
func LoseAnswers(n int64, which func(*http.Request) bool, lost *atomic.Int64) transport.WrapperFunc {
	var asked atomic.Int64
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			response, err := next.RoundTrip(request)
			if err != nil || !which(request) || asked.Add(1)%n != 0 {
				return response, err
			}
			lost.Add(1)
			return nil, errors.Join(ErrAnswerLost, response.Body.Close())
		})
	}
}

// Fail makes a transport that answers each n-th of the requests that which chooses with a status, without the server.
func Fail(n int64, status int, which func(*http.Request) bool) transport.WrapperFunc {
	var asked atomic.Int64
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			if !which(request) || asked.Add(1)%n != 0 {
				return next.RoundTrip(request)
			}
			return &http.Response{
				Request: request, StatusCode: status, Status: fmt.Sprintf("%d %s", status, http.StatusText(status)),
				Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"text/plain"}},
				Body: io.NopCloser(strings.NewReader("by the test")),
			}, nil
		})
	}
}

// LateWatches makes a transport that delivers what watches tell that much later: those of a resource, or all of them.
func LateWatches(lag time.Duration, resource string) transport.WrapperFunc {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			response, err := next.RoundTrip(request)
			if err == nil && watches(request) && strings.HasSuffix(request.URL.Path, resource) {
				response.Body = late(response.Body, lag)
			}
			return response, err
		})
	}
}

// lateBody is a body whose parts arrive some time after they were sent.
type lateBody struct {
	io.Reader
	from io.Closer
	to   *io.PipeReader
}

func late(body io.ReadCloser, lag time.Duration) io.ReadCloser {
	type part struct {
		due  time.Time
		data []byte
	}
	parts := make(chan part, 1<<16)
	out, in := io.Pipe()
	go func() {
		for {
			buffer := make([]byte, 64<<10)
			n, err := body.Read(buffer)
			parts <- part{time.Now().Add(lag), buffer[:n]}
			if err != nil {
				close(parts)
				return
			}
		}
	}()
	go func() {
		for p := range parts {
			<-time.After(time.Until(p.due)) // this is the fault itself, not a wait for something
			if _, err := in.Write(p.data); err != nil {
				continue // nobody listens any more: let the other end
			}
		}
		_ = in.Close()
	}()
	return &lateBody{Reader: out, from: body, to: out}
}

// Close ends both sides.
func (b *lateBody) Close() error {
	if err := errors.Join(b.to.Close(), b.from.Close()); err != nil {
		return fmt.Errorf("close a watch: %w", err)
	}
	return nil
}
