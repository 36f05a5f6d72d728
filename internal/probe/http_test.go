// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/gomega"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// serve runs a pod's HTTP server and returns its port.
func serve(t *testing.T, address string, handler http.HandlerFunc) int32 {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return portOf(t, listener)
}

func portOf(t *testing.T, listener net.Listener) int32 {
	t.Helper()
	_, text, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return int32(port)
}

func httpPool(pool string, probe v1alpha1.HTTPProbe, targets ...Target) Pool {
	return Pool{
		Name:    poolName(pool),
		Probe:   v1alpha1.BusyProbe{Mode: v1alpha1.BusyByHTTP, HTTP: &probe},
		Targets: targets,
	}
}

// asked returns the reading of the pool's only target, once there is one.
func asked(t *testing.T, p *Prober, pool Pool) Reading {
	t.Helper()
	p.Set(pool)
	uid := pool.Targets[0].UID
	gomega.NewWithT(t).Eventually(func() string { return p.Readings(pool.Name)[uid].Reason }, "20s", "2ms").
		ShouldNot(gomega.Equal(reasonNotAsked))
	return p.Readings(pool.Name)[uid]
}

func TestHTTPReadings(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		status            int
		wantBusy, wantNot Signal // successIsBusy true and false
	}{
		{200, Busy, Idle},
		{204, Busy, Idle},
		{299, Busy, Idle},
		{300, Idle, Busy},
		{302, Idle, Busy},
		{404, Idle, Busy},
		{500, Idle, Busy},
		{503, Idle, Busy},
	} {
		for successIsBusy, want := range map[bool]Signal{true: tc.wantBusy, false: tc.wantNot} {
			t.Run(strconv.Itoa(tc.status)+" "+strconv.FormatBool(successIsBusy), func(t *testing.T) {
				t.Parallel()
				port := serve(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
					if r.Method != http.MethodGet || r.URL.Path != "/busy" {
						t.Errorf("%s %s; want GET /busy", r.Method, r.URL)
					}
					w.WriteHeader(tc.status)
				})
				p := New(Options{})
				run(t, p)
				got := asked(t, p, httpPool("a", v1alpha1.HTTPProbe{Port: port, SuccessIsBusy: new(successIsBusy)}, pods("a", 1)...))
				if diff := cmp.Diff(Reading{Signal: want, Last: want}, got); diff != "" {
					t.Errorf("reading (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// Defect 16: no answer isn't idle, whatever success means; and defect 14: timeoutSeconds 0 isn't an error.
func TestHTTPWithoutAnAnswerIsUnknown(t *testing.T) {
	t.Parallel()
	hanging := serve(t, "127.0.0.1:0", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	cut := serve(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for name, tc := range map[string]struct {
		port int32
		ip   string
		want string
	}{
		"a pod that hangs":         {hanging, "127.0.0.1", "http://127.0.0.1:PORT/busy: no answer within 1s"},
		"a pod that isn't there":   {closedPort(t), "127.0.0.1", "http://127.0.0.1:PORT/busy: connection refused"},
		"a pod that hangs up":      {cut, "127.0.0.1", "http://127.0.0.1:PORT/busy: the connection was closed without an answer"},
		"a pod without an address": {hanging, "", "the pod has no IP address yet"},
	} {
		for _, successIsBusy := range []bool{true, false} {
			t.Run(name+" "+strconv.FormatBool(successIsBusy), func(t *testing.T) {
				t.Parallel()
				p := New(Options{})
				run(t, p)
				target := pods("a", 1)[0]
				target.IP = tc.ip
				got := asked(t, p, httpPool("a", v1alpha1.HTTPProbe{Port: tc.port, SuccessIsBusy: new(successIsBusy)}, target))
				want := strings.ReplaceAll(tc.want, "PORT", strconv.Itoa(int(tc.port)))
				if got.Signal != Unknown || !strings.HasSuffix(got.Reason, want) {
					t.Errorf("reading %+v; want unknown because of %q", got, want)
				}
			})
		}
	}
}

// closedPort is a port that nobody listens on. It is below those that the system gives to connections, and each test
// begins to look elsewhere, so that nobody else takes it before the test does.
func closedPort(t *testing.T) int32 {
	t.Helper()
	const first, count = 20_000, 10_000
	begin := fnv.New32()
	_, _ = fmt.Fprint(begin, t.Name(), os.Getpid())
	for i := range uint32(count) {
		port := first + (begin.Sum32()+i)%count
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = listener.Close()
			return int32(port)
		}
	}
	t.Fatal("no port is free")
	return 0
}

// Defect 17: a pod can't send the operator elsewhere.
func TestHTTPGoesToThePodAndNowhereElse(t *testing.T) {
	var elsewhere atomic.Int64
	other := serve(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	address := "http://127.0.0.1:" + strconv.Itoa(int(other))
	t.Setenv("HTTP_PROXY", address)
	t.Setenv("http_proxy", address)
	port := serve(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, address, http.StatusTemporaryRedirect)
	})
	p := New(Options{})
	run(t, p)
	if got := asked(t, p, httpPool("a", v1alpha1.HTTPProbe{Port: port}, pods("a", 1)...)); got.Signal != Idle {
		t.Errorf("reading of a redirect: %+v; want idle, as any that isn't 2xx", got)
	}
	documentation := pods("b", 1)[0]
	documentation.IP = "192.0.2.1" // nobody has it; a proxy would answer for it
	if got := asked(t, p, httpPool("b", v1alpha1.HTTPProbe{}, documentation)); got.Signal != Unknown {
		t.Errorf("reading of a pod that isn't there: %+v", got)
	}
	userInfo := httpPool("c", v1alpha1.HTTPProbe{Port: port, Path: "@127.0.0.1:" + strconv.Itoa(int(other))}, pods("c", 1)...)
	if got := asked(t, p, userInfo); got.Signal != Idle {
		t.Errorf("reading with a path that isn't one: %+v; want the redirect of the pod", got)
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("%d requests went to another server", n)
	}
	if transport, ok := p.http.Transport.(*http.Transport); !ok || transport.Proxy != nil {
		t.Error("the transport has a proxy")
	}
}

// Defect 17: brackets around IPv6 addresses.
func TestHTTPByIPv6(t *testing.T) {
	t.Parallel()
	port := serve(t, "[::1]:0", func(http.ResponseWriter, *http.Request) {})
	p := New(Options{})
	run(t, p)
	target := pods("a", 1)[0]
	target.IP = "::1"
	if got := asked(t, p, httpPool("a", v1alpha1.HTTPProbe{Port: port}, target)); got.Signal != Busy {
		t.Errorf("reading %+v; want busy", got)
	}
}

// Defect 9: a connection per probe.
func TestHTTPKeepsConnections(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	connections, requests := map[string]bool{}, 0
	port := serve(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		connections[r.RemoteAddr] = true
		requests++
		_, _ = w.Write(make([]byte, 10_000)) // unread, it would cost the connection
	})
	p := New(Options{})
	run(t, p)
	target := pods("a", 1)
	asked(t, p, httpPool("a", v1alpha1.HTTPProbe{Port: port}, target...))
	for range 20 {
		p.Recheck(t.Context(), poolName("a"), target)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(connections) != 1 || requests != 21 {
		t.Errorf("%d requests over %d connections; want 21 over one", requests, len(connections))
	}
}

func TestHTTPBodyHasALimit(t *testing.T) {
	t.Parallel()
	port := serve(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil { // for ever
			_, _ = w.Write(make([]byte, 4096))
		}
	})
	p := New(Options{})
	run(t, p)
	began := time.Now()
	if got := asked(t, p, httpPool("a", v1alpha1.HTTPProbe{Port: port, TimeoutSeconds: 300}, pods("a", 1)...)); got.Signal != Busy {
		t.Errorf("reading %+v; want busy", got)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("took %v", took)
	}
}

// Defects 9 and 10: probes that hang make others wait.
func TestHTTPPodsThatHangDoNotDelayOtherPools(t *testing.T) {
	t.Parallel()
	hanging := serve(t, "127.0.0.1:0", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	prompt := serve(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) {})
	p := New(Options{Workers: 8})
	run(t, p)
	for _, pool := range []string{"x", "y", "z"} {
		p.Set(httpPool(pool, v1alpha1.HTTPProbe{Port: hanging, TimeoutSeconds: 300, PeriodSeconds: 1}, pods(pool, 100)...))
	}
	p.Set(httpPool("a", v1alpha1.HTTPProbe{Port: prompt}, pods("a", 100)...))
	gomega.NewWithT(t).Eventually(func() int {
		busy := 0
		for _, r := range p.Readings(poolName("a")) {
			if r.Signal == Busy {
				busy++
			}
		}
		return busy
	}, "30s", "10ms").Should(gomega.Equal(100))
}
