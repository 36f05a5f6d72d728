// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
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
	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/internal/protocol"
	"github.com/paia-tech/hotstandbyjob/internal/protocol/standbyv1"
	"github.com/paia-tech/hotstandbyjob/internal/protocol/standbyv1/standbyv1connect"
)

// Page has the operator serve its page at an address that is free, which is returned; give change to Operator or
// PushOperator.
func (e *Env) Page() (address string, change func(*config.Operator)) {
	e.T.Helper()
	address = e.FreeAddress()
	return address, func(c *config.Operator) { c.UIAddress = address }
}

// streams does for the pods of simulated nodes what the entrypoint does in real ones.
type streams struct {
	env       *Env
	url       string
	work      func() time.Duration
	transport http.RoundTripper
	wait      sync.WaitGroup
	mu        sync.Mutex
	known     map[types.UID]bool

	attached, ran atomic.Int32
}

// Streams has all simulated standby pods of the namespace attached to the gateway, and take their launches: they report that
// the command runs, and end it, well, after the time that work says. It needs an operator with GatewayAnyAddress.
func (e *Env) Streams(url string, work func() time.Duration) {
	e.T.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(e.T.Context()))
	s := &streams{env: e, url: url, work: work, known: map[types.UID]bool{}}
	s.wait.Go(func() {
		for ctx.Err() == nil {
			s.watch(ctx)
		}
	})
	e.T.Cleanup(func() {
		cancel()
		s.wait.Wait()
		e.T.Logf("%d simulated pods attached, %d of them ran something", s.attached.Load(), s.ran.Load())
	})
}

// watch lets the pods live that it sees, until the API server ends it.
func (s *streams) watch(ctx context.Context) {
	events, err := s.env.Client.Watch(ctx, &corev1.PodList{}, client.InNamespace(s.env.Namespace))
	if err != nil {
		s.pause(ctx, "watch pods", err)
		return
	}
	defer events.Stop()
	for event := range events.ResultChan() {
		p, ok := event.Object.(*corev1.Pod)
		if !ok {
			s.pause(ctx, "watch pods", apierrors.FromObject(event.Object))
			return
		}
		if event.Type != watch.Deleted && s.fresh(p) {
			s.wait.Go(func() { s.live(ctx, p) })
		}
	}
}

// pause is before something that failed is tried again.
func (s *streams) pause(ctx context.Context, what string, err error) {
	if ctx.Err() != nil {
		return
	}
	s.env.T.Logf("%s: %v", what, err)
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
}

// fresh says whether a pod has a gateway to attach to, and hasn't done so.
func (s *streams) fresh(p *corev1.Pod) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ca := p.Annotations[v1alpha1.AnnotationGatewayCA]
	if ca == "" || s.known[p.UID] || p.Status.Phase != corev1.PodRunning {
		return false
	}
	s.known[p.UID] = true
	if s.transport == nil {
		trusted := x509.NewCertPool()
		trusted.AppendCertsFromPEM([]byte(ca))
		s.transport = &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}}
	}
	return true
}

// live is a pod's life: it attaches, again where that fails, until it has run what it was given.
func (s *streams) live(ctx context.Context, p *corev1.Pod) {
	for ctx.Err() == nil {
		ran, err := s.attach(ctx, p)
		if ran || ctx.Err() != nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) || connect.CodeOf(err) == connect.CodeNotFound {
			return
		}
		s.pause(ctx, "attach as pod "+p.Name, err)
	}
}

// attach takes a launch, if one comes.
func (s *streams) attach(ctx context.Context, p *corev1.Pod) (ran bool, err error) {
	token := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences:      []string{v1alpha1.TokenAudience},
		BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: p.Name, UID: p.UID},
	}}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Spec.ServiceAccountName}}
	if err := s.env.Client.SubResource("token").Create(ctx, account, token); err != nil {
		return false, err
	}
	pod := standbyv1connect.NewStandbyClient(&http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		r.Header.Set("Authorization", "Bearer "+token.Status.Token)
		return s.transport.RoundTrip(r)
	})}, s.url)
	stream, err := pod.Attach(ctx, &standbyv1.AttachRequest{})
	if err != nil {
		return false, err
	}
	defer func() { _ = stream.Close() }()
	for stream.Receive() {
		text := stream.Msg().GetPayload()
		if text == "" { // it is attached
			s.attached.Add(1)
			continue
		}
		var payload protocol.Payload
		if err := json.Unmarshal([]byte(text), &payload); err != nil {
			return false, fmt.Errorf("read the launch: %w", err)
		}
		s.ran.Add(1)
		_, err := pod.Report(ctx, &standbyv1.ReportRequest{Activity: &standbyv1.Activity{LaunchId: payload.ID, StartedUnixNano: time.Now().UnixNano()}})
		if err != nil {
			return false, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(s.work()):
			s.env.Finish(p, "0")
		}
		return true, nil
	}
	return false, stream.Err()
}
