// SPDX-License-Identifier: Apache-2.0

package scaler

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/certificate"
	"github.com/paia-tech/hotstandbyjob/internal/journal"
	"github.com/paia-tech/hotstandbyjob/internal/protocol/externalscaler"
	"github.com/paia-tech/hotstandbyjob/internal/protocol/externalscaler/externalscalerconnect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// world is what the numbers are taken from.
type world struct {
	mu      sync.Mutex
	pool    v1alpha1.HotStandbyJob
	broken  error
	waiting int
	clock   *clocktesting.FakeClock
	journal *journal.Journal
}

func newWorld() *world {
	w := &world{clock: clocktesting.NewFakeClock(noon)}
	w.journal = journal.New(w.clock)
	w.pool.Namespace, w.pool.Name = "team", "game"
	w.pool.Spec.Assignment = v1alpha1.AssignmentPush
	return w
}

func (w *world) Get(_ context.Context, name types.NamespacedName) (*v1alpha1.HotStandbyJob, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return nil, w.broken
	}
	if name.Namespace != w.pool.Namespace || name.Name != w.pool.Name {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "hotstandbyjobs"}, name.Name)
	}
	return w.pool.DeepCopy(), nil
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *world) deps() Deps {
	return Deps{Pools: w, Journal: w.journal, Clock: w.clock, Waiting: func(types.NamespacedName) int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.waiting
	}}
}

// serve runs a server until the test ends or stop is called.
func serve(t *testing.T, s *Server) (address string, stop func()) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Listener, s.Log = listener, slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Start(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the server ended: %v", err)
		}
	})
	t.Cleanup(stop)
	return listener.Addr().String(), stop
}

// client speaks gRPC, without TLS if there is no configuration.
func client(t *testing.T, address string, secure *tls.Config) externalscalerconnect.ExternalScalerClient {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: secure}
	url := "http://" + address
	if secure == nil {
		transport.Protocols.SetUnencryptedHTTP2(true)
	} else {
		url = "https://" + address
		transport.Protocols.SetHTTP2(true)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return externalscalerconnect.NewExternalScalerClient(&http.Client{Transport: transport}, url, connect.WithGRPC())
}

// ref is a trigger of a ScaledObject in the pool's namespace, such as "metric=busy".
func ref(fields ...string) *externalscaler.ScaledObjectRef {
	r := &externalscaler.ScaledObjectRef{Name: "scale", Namespace: "team", ScalerMetadata: map[string]string{"pool": "game", "metric": "busy", "target": "4"}}
	for _, f := range fields {
		key, text, _ := strings.Cut(f, "=")
		r.ScalerMetadata[key] = text
	}
	return r
}

func TestAnswers(t *testing.T) {
	w := newWorld()
	w.pool.Status.IdleCount, w.pool.Status.BusyCount, w.waiting = 2, 9, 3
	for _, start := range []journal.Start{journal.Warm, journal.Warm, journal.Warm, journal.Cold} {
		w.journal.Record(journal.Launch{Pool: types.NamespacedName{Namespace: "team", Name: "game"}, Start: start})
	}
	address, _ := serve(t, &Server{Handler: New(w.deps())})
	c := client(t, address, nil)
	for metric, want := range map[string]struct {
		name   string
		value  float64
		whole  int64
		active bool
	}{
		"idle":            {"hsj-idle-game", 2, 2, true},
		"busy":            {"hsj-busy-game", 9, 9, true},
		"waitingLaunches": {"hsj-waiting-launches-game", 3, 3, true},
		"hitRatio":        {"hsj-hit-ratio-game", 0.75, 1, false},
		"missRatio":       {"hsj-miss-ratio-game", 0.25, 1, false},
	} {
		t.Run(metric, func(t *testing.T) {
			r := ref("metric="+metric, "target=1.5", "activationTarget=1")
			specs, err := c.GetMetricSpec(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if got := specs.GetMetricSpecs(); len(got) != 1 || got[0].GetMetricName() != want.name || got[0].GetTargetSize() != 2 || got[0].GetTargetSizeFloat() != 1.5 {
				t.Errorf("the specs are %v", got)
			}
			values, err := c.GetMetrics(t.Context(), &externalscaler.GetMetricsRequest{ScaledObjectRef: r, MetricName: want.name})
			if err != nil {
				t.Fatal(err)
			}
			if got := values.GetMetricValues(); len(got) != 1 || got[0].GetMetricName() != want.name || got[0].GetMetricValue() != want.whole || got[0].GetMetricValueFloat() != want.value {
				t.Errorf("the values are %v, want %v", got, want)
			}
			if active, err := c.IsActive(t.Context(), r); err != nil || active.GetResult() != want.active {
				t.Errorf("active: %v, %v; want %v", active.GetResult(), err, want.active)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld()
	without := newWorld().deps()
	without.Waiting = nil
	served, _ := serve(t, &Server{Handler: New(w.deps())})
	unserved, _ := serve(t, &Server{Handler: New(without)})
	c, none := client(t, served, nil), client(t, unserved, nil)
	for name, tc := range map[string]struct {
		client externalscalerconnect.ExternalScalerClient
		ref    *externalscaler.ScaledObjectRef
		change func()
		code   connect.Code
		says   string
	}{
		"what is wrong with the metadata": {ref: ref("target=x"), code: connect.CodeInvalidArgument, says: `metadata.target is "x": it must be`},
		"no trigger at all":               {ref: nil, code: connect.CodeInvalidArgument, says: "metadata.pool is missing"},
		"a pool that isn't there":         {ref: ref("pool=gone"), code: connect.CodeNotFound, says: `metadata.pool is "gone": it must be a HotStandbyJob in namespace team`},
		"launches where none are served":  {client: none, ref: ref("metric=waitingLaunches"), code: connect.CodeFailedPrecondition, says: "metadata.metric is waitingLaunches: it must be idle or busy, since this operator serves no launches"},
		"launches in a pool that takes none": {
			ref: ref("metric=missRatio"), change: func() { w.pool.Spec.Assignment = v1alpha1.AssignmentPull },
			code: connect.CodeFailedPrecondition, says: "metadata.metric is missRatio: it must be idle or busy, since no Job is launched in pool game",
		},
		"a cache that doesn't answer": {
			ref: ref(), change: func() { w.broken = errors.New("not synced") }, code: connect.CodeUnavailable, says: "read pool team/game: not synced",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.client == nil {
				tc.client = c
			}
			if tc.change != nil {
				w.set(tc.change)
				defer w.set(func() { w.broken, w.pool.Spec.Assignment = nil, v1alpha1.AssignmentPush })
			}
			_, err := tc.client.GetMetricSpec(t.Context(), tc.ref)
			if connect.CodeOf(err) != tc.code || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("the spec is refused with %v; want %s, %s", err, tc.code, tc.says)
			}
			if _, other := tc.client.IsActive(t.Context(), tc.ref); other == nil || other.Error() != err.Error() {
				t.Errorf("activity is refused with %v, the spec with %v", other, err)
			}
		})
	}
	_, err := c.GetMetrics(t.Context(), &externalscaler.GetMetricsRequest{ScaledObjectRef: ref(), MetricName: "hsj-idle-game"})
	if connect.CodeOf(err) != connect.CodeInvalidArgument || !strings.Contains(err.Error(), `it must be "hsj-busy-game"`) {
		t.Errorf("another metric than the trigger's is refused with %v", err)
	}
}

func TestAStreamTellsChangesAndEndsWithTheServer(t *testing.T) {
	w := newWorld()
	address, stop := serve(t, &Server{Handler: New(w.deps())})
	stream, err := client(t, address, nil).StreamIsActive(t.Context(), ref("activationTarget=1"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	var got []bool
	for _, busy := range []int32{0, 2, 1, 5} {
		w.set(func() { w.pool.Status.BusyCount = busy })
		for !w.clock.HasWaiters() { // before it has looked for the first time
			time.Sleep(time.Millisecond)
		}
		if len(got) > 0 {
			w.clock.Step(look)
		}
		if !stream.Receive() {
			t.Fatal(stream.Err())
		}
		got = append(got, stream.Msg().GetResult())
		w.clock.Step(look) // nothing has changed, and nothing is said
	}
	if diff := cmp.Diff([]bool{false, true, false, true}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	go stop()
	if stream.Receive() || connect.CodeOf(stream.Err()) != connect.CodeUnavailable || !strings.Contains(stream.Err().Error(), errStopping.Error()) {
		t.Errorf("the stream ended with %v", stream.Err())
	}
}

// identity is a client's certificate, which is its own authority.
type identity struct {
	certificate tls.Certificate
	authority   []byte
}

func newIdentity(t *testing.T) *identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &identity{
		certificate: tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key},
		authority:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}),
	}
}

func TestOnlyThoseWithACertificateMayAsk(t *testing.T) {
	serving, err := certificate.SelfSigned(time.Now(), nil, []net.IP{net.ParseIP("127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	mine, other := newIdentity(t), newIdentity(t)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(serving.CA())
	file := filepath.Join(t.TempDir(), "ca.crt")
	write := func(text []byte) {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(mine.authority)
	s := &Server{Handler: New(newWorld().deps()), GetCertificate: serving.GetCertificate}
	open, _ := serve(t, s)
	closed, _ := serve(t, &Server{Handler: s.Handler, GetCertificate: s.GetCertificate, ClientCA: file})
	ask := func(address string, with *identity, roots *x509.CertPool) error {
		c := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
		if with != nil {
			c.Certificates = []tls.Certificate{with.certificate}
		}
		_, err := client(t, address, c).IsActive(t.Context(), ref())
		return err
	}
	if err := ask(open, nil, roots); err != nil {
		t.Errorf("where anybody may ask: %v", err)
	}
	if err := ask(open, nil, x509.NewCertPool()); err == nil {
		t.Error("the server is known by any authority")
	}
	if err := ask(closed, nil, roots); err == nil {
		t.Error("without a certificate there is an answer")
	}
	if err := ask(closed, other, roots); err == nil {
		t.Error("with another authority's certificate there is an answer")
	}
	if err := ask(closed, mine, roots); err != nil {
		t.Errorf("with the right certificate: %v", err)
	}
	write(other.authority) // rotated
	if err := ask(closed, other, roots); err != nil {
		t.Errorf("with the new authority's certificate: %v", err)
	}
	write(nil)
	if err := ask(closed, other, roots); err == nil {
		t.Error("without any authority there is an answer")
	}
}

func TestWhatCanNotBeServedIsSaid(t *testing.T) {
	for name, tc := range map[string]struct {
		server Server
		says   string
	}{
		"no file":        {Server{ClientCA: filepath.Join(t.TempDir(), "gone")}, "--keda-scaler-client-ca"},
		"no certificate": {Server{ClientCA: os.Args[0]}, "has no certificate in PEM"},
		"no address":     {Server{Address: "127.0.0.1:99999"}, "serve KEDA: listen"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.server.Log = slog.New(slog.DiscardHandler)
			if err := tc.server.Start(t.Context()); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}
