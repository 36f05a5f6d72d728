// SPDX-License-Identifier: Apache-2.0

package drive

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/entrypoint"
	"github.com/paia-tech/hotstandbyjob/internal/protocol"
	"github.com/paia-tech/hotstandbyjob/internal/protocol/standbyv1"
	"github.com/paia-tech/hotstandbyjob/internal/protocol/standbyv1/standbyv1connect"
	"github.com/paia-tech/hotstandbyjob/lab"
)

// Streams does for the standby pods of simulated nodes what the entrypoint does in real ones: each attaches to the gateway
// as itself, takes a launch, and reports that the command runs. It needs an operator with GatewayAnyAddress.
type Streams struct {
	Client client.Client
	// URL is the gateway's.
	URL string
	// Work is the command: the pod ends, well, when it returns before the context ends. It is called when the launch has
	// reached the pod, which is when a command would begin, and reported that.
	Work func(ctx context.Context, started Started)
	Log  Log

	transport *http.Transport // is cloned for each pod, so that each has a connection of its own, as real ones have
	wait      sync.WaitGroup
	mu        sync.Mutex
	known     map[types.UID]bool
	says      map[types.UID]func(context.Context, standbyv1.Work) error // those that are attached, of pools with assignment Pull

	idle, attached, ran atomic.Int32
}

// Started is a launch that has reached a pod.
type Started struct {
	Pod     *corev1.Pod // as it was before
	Payload protocol.Payload
	At      time.Time
}

// Idle is how many pods are attached now, and have no launch yet.
func (s *Streams) Idle() int { return int(s.idle.Load()) }

// Attached is how many pods have attached so far.
func (s *Streams) Attached() int { return int(s.attached.Load()) }

// Ran is how often a pod has been given a launch so far. One whose report isn't taken is given it again.
func (s *Streams) Ran() int { return int(s.ran.Load()) }

// Busy has a pod that is attached say that it is busy (busyProbe.mode: report).
func (s *Streams) Busy(ctx context.Context, pod types.UID) error {
	s.mu.Lock()
	say, ok := s.says[pod]
	s.mu.Unlock()
	if !ok {
		return fmt.Errorf("pod %s isn't attached", pod)
	}
	return say(ctx, standbyv1.Work_WORK_BUSY)
}

// See is given all pods, as a Watcher shows them. One that is new lives until ctx ends.
func (s *Streams) See(ctx context.Context, event watch.EventType, p *corev1.Pod) {
	if event != watch.Deleted && s.fresh(p) {
		s.wait.Go(func() { s.live(ctx, p) })
	}
}

// Wait returns when no pod lives any more.
func (s *Streams) Wait() { s.wait.Wait() }

// fresh says whether a pod has a gateway to attach to and hasn't done so. A real one does that itself.
func (s *Streams) fresh(p *corev1.Pod) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ca := p.Annotations[v1alpha1.AnnotationGatewayCA]
	if ca == "" || s.known[p.UID] || p.Status.Phase != corev1.PodRunning || !lab.Simulated(&p.Spec) {
		return false
	}
	if s.known == nil {
		s.known = map[types.UID]bool{}
	}
	s.known[p.UID] = true
	if s.transport == nil {
		trusted := x509.NewCertPool()
		trusted.AppendCertsFromPEM([]byte(ca))
		s.transport = &http.Transport{
			ForceAttemptHTTP2: true, IdleConnTimeout: time.Second, TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12},
		}
	}
	return true
}

// live is a pod's life: it attaches, again where that fails, until it has run what it was given. Its token lasts for longer
// than a test, as that lasts which a kubelet gives to real ones.
func (s *Streams) live(ctx context.Context, p *corev1.Pod) {
	token := ""
	for failures := 0; ctx.Err() == nil; failures++ {
		var err error
		attached, ran := false, false
		if token == "" {
			token, err = s.token(ctx, p)
		}
		if err == nil {
			attached, ran, err = s.attach(ctx, p, token)
		}
		if ran || ctx.Err() != nil || gone(err) {
			return
		}
		if attached {
			failures = 0
		}
		if connect.CodeOf(err) == connect.CodeUnauthenticated {
			token = ""
		}
		if failures+1 == entrypoint.WorthALine {
			s.Log("attach as pod %s: %v", p.Name, err)
		}
		sleep(ctx, entrypoint.Backoff(failures, rand.Float64())) //nolint:gosec // no secret
	}
}

// gone says whether there is no such pod any more.
func gone(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsConflict(err) || connect.CodeOf(err) == connect.CodeNotFound
}

// token is one of the pod's for the gateway.
func (s *Streams) token(ctx context.Context, p *corev1.Pod) (string, error) {
	token := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences:      []string{v1alpha1.TokenAudience},
		BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: p.Name, UID: p.UID},
	}}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Spec.ServiceAccountName}}
	err := s.Client.SubResource("token").Create(ctx, account, token)
	return token.Status.Token, err
}

// attach takes a launch, if one comes. It tells whether the gateway had the pod attached.
func (s *Streams) attach(ctx context.Context, p *corev1.Pod, token string) (attached, ran bool, err error) {
	transport := s.transport.Clone()
	pod := standbyv1connect.NewStandbyClient(&http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		r.Header.Set("Authorization", "Bearer "+token)
		return transport.RoundTrip(r)
	})}, s.URL, connect.WithAcceptCompression("gzip", nil, nil)) // as the entrypoint
	request := &standbyv1.AttachRequest{}
	if _, pushed := p.Annotations[v1alpha1.AnnotationPayload]; !pushed {
		request.Activity = &standbyv1.Activity{Work: standbyv1.Work_WORK_IDLE}
		s.mu.Lock()
		if s.says == nil {
			s.says = map[types.UID]func(context.Context, standbyv1.Work) error{}
		}
		s.says[p.UID] = func(ctx context.Context, work standbyv1.Work) error {
			_, err := pod.Report(ctx, &standbyv1.ReportRequest{Activity: &standbyv1.Activity{Work: work}})
			return err
		}
		s.mu.Unlock()
	}
	stream, err := pod.Attach(ctx, request)
	if err != nil {
		return false, false, err
	}
	defer func() { _ = stream.Close() }()
	attached, text, err := s.awaitLaunch(stream)
	if err != nil || text == "" {
		return attached, false, err
	}
	ran, err = s.run(ctx, pod, p, text)
	return attached, ran, err
}

// awaitLaunch returns the launch that comes over a stream, empty if none does.
func (s *Streams) awaitLaunch(stream *connect.ServerStreamForClient[standbyv1.AttachResponse]) (attached bool, payload string, err error) {
	defer func() {
		if attached {
			s.idle.Add(-1)
		}
	}()
	for stream.Receive() {
		if text := stream.Msg().GetPayload(); text != "" {
			return attached, text, nil
		}
		if !attached {
			attached = true
			s.attached.Add(1)
			s.idle.Add(1)
		}
	}
	return attached, "", stream.Err()
}

// run is a pod's launch, up to its end. It has not run where nobody was told that it does: it will be given it again.
func (s *Streams) run(ctx context.Context, pod standbyv1connect.StandbyClient, p *corev1.Pod, text string) (ran bool, err error) {
	now := time.Now()
	payload, err := protocol.DecodePayload(text)
	if err != nil {
		return false, err
	}
	s.ran.Add(1)
	_, err = pod.Report(ctx, &standbyv1.ReportRequest{Activity: &standbyv1.Activity{LaunchId: payload.ID, StartedUnixNano: now.UnixNano()}})
	if err != nil {
		return false, err
	}
	s.Work(ctx, Started{Pod: p, Payload: payload, At: now})
	for ctx.Err() == nil {
		if err = Finish(ctx, s.Client, p, 0); err == nil {
			break
		}
		pause(ctx, s.Log, "end pod "+p.Name, err)
	}
	return true, nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
