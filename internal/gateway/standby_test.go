// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/protocol"
	"github.com/paia-tech/hotstandbyjob/internal/protocol/standbyv1"
	"github.com/paia-tech/hotstandbyjob/internal/standby"
)

// attach opens a stream, and waits until the pod is attached.
func (s *served) attach(ctx context.Context, token string) (*connect.ServerStreamForClient[standbyv1.AttachResponse], error) {
	stream, err := s.pod(token).Attach(ctx, &standbyv1.AttachRequest{})
	if err != nil {
		return nil, err
	}
	if !stream.Receive() {
		err := stream.Err()
		return nil, errors.Join(err, stream.Close())
	}
	if stream.Msg().GetPayload() != "" {
		return nil, errors.New("the first message has a payload")
	}
	return stream, nil
}

func claimOf(job string) standby.Claim {
	return standby.Claim{
		Pool:        game,
		Owner:       metav1.OwnerReference{APIVersion: "batch/v1", Kind: "Job", Name: job, UID: types.UID("uid-" + job), Controller: new(true)},
		Labels:      map[string]string{v1alpha1.LabelLaunch: "game", "batch.kubernetes.io/job-name": job},
		Annotations: map[string]string{v1alpha1.AnnotationStart: v1alpha1.StartWarm},
		Payload:     protocol.Payload{Command: []string{"play"}},
	}
}

func TestAPodIsWhoseTokenItHas(t *testing.T) {
	s := serve(t, Limits{})
	soon := fmt.Sprintf(`{"aud":["hsj.paia.tech"],"exp":%d}`, s.clock.Now().Add(-time.Second).Unix())
	expired := s.jwt(soon, podToken("a"))
	for name, tc := range map[string]struct {
		token string
		want  connect.Code
		pod   string
	}{
		"its own token":                          {token: "a", pod: "a"},
		"the token of another is another pod":    {token: "b", pod: "b"},
		"no token":                               {token: "", want: connect.CodeUnauthenticated},
		"a token that nobody knows":              {token: "made up", want: connect.CodeUnauthenticated},
		"an expired token":                       {token: expired, want: connect.CodeUnauthenticated},
		"a token for another audience":           {token: "elsewhere", want: connect.CodeUnauthenticated},
		"a token for the API server":             {token: "jane", want: connect.CodeUnauthenticated},
		"a token that isn't bound to a pod":      {token: "nobody", want: connect.CodePermissionDenied},
		"a token without the pod's UID":          {token: "halfway", want: connect.CodePermissionDenied},
		"a token that isn't a service account's": {token: "person in disguise", want: connect.CodePermissionDenied},
	} {
		t.Run(name, func(t *testing.T) {
			stream, err := s.attach(t.Context(), tc.token)
			if tc.want != 0 {
				if connect.CodeOf(err) != tc.want {
					t.Errorf("error %v", err)
				}
				if _, err := s.pod(tc.token).Report(t.Context(), &standbyv1.ReportRequest{}); connect.CodeOf(err) != tc.want {
					t.Errorf("report: error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, pod := range []string{"a", "b"} {
				if p, _ := s.registry.Pod(types.UID("uid-" + pod)); p.Attached != (pod == tc.pod) {
					t.Errorf("pod %s is attached: %v", pod, p.Attached)
				}
			}
			if _, err := s.pod(tc.token).Report(t.Context(), &standbyv1.ReportRequest{}); err != nil {
				t.Errorf("report: %v", err)
			}
			s.registry.Forget(types.UID("uid-" + tc.pod))
			if stream.Receive() || connect.CodeOf(stream.Err()) != connect.CodeNotFound {
				t.Errorf("the stream of a pod that is gone: %v", stream.Err())
			}
			_ = stream.Close()
		})
	}
}

func TestAnAttachedPodIsSentItsLaunchAndSaysThatItHasStarted(t *testing.T) {
	s := serve(t, Limits{})
	s.idle(t, "a")
	stream, err := s.attach(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	claimed, err := s.registry.Claim(t.Context(), claimOf("job"))
	if err != nil {
		t.Fatal(err)
	}
	if !stream.Receive() {
		t.Fatal(stream.Err())
	}
	if diff := cmp.Diff(claimed.Annotations[v1alpha1.AnnotationPayload], stream.Msg().GetPayload()); diff != "" {
		t.Errorf("(-annotation +stream):\n%s", diff)
	}
	payload, err := protocol.DecodePayload(stream.Msg().GetPayload())
	if err != nil {
		t.Fatal(err)
	}
	activity := &standbyv1.Activity{LaunchId: payload.ID, StartedUnixNano: 7}
	if _, err := s.pod("a").Report(t.Context(), &standbyv1.ReportRequest{Activity: activity}); err != nil {
		t.Fatal(err)
	}
	if p, _ := s.registry.Pod("uid-a"); p.Started.UnixNano() != 7 {
		t.Errorf("started: %v", p.Started)
	}
	_ = stream.Close()
}

func TestATokenIsGoodAtItsPodsAddressOnly(t *testing.T) {
	for name, tc := range map[string]struct {
		ip         string
		anyAddress bool
		want       connect.Code
	}{
		"its own":                      {ip: "127.0.0.1"},
		"another":                      {ip: "10.0.0.1", want: connect.CodePermissionDenied},
		"another, and any is accepted": {ip: "10.0.0.1", anyAddress: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveWith(t, func(d *Deps) { d.AnyAddress = tc.anyAddress })
			p := s.idle(t, "a")
			p.Status.PodIPs = []corev1.PodIP{{IP: tc.ip}}
			s.registry.Observe(p)
			stream, err := s.attach(t.Context(), "a")
			if err == nil {
				defer func() { _ = stream.Close() }()
			}
			_, reported := s.pod("a").Report(t.Context(), &standbyv1.ReportRequest{})
			for _, err := range []error{err, reported} {
				if tc.want == 0 && err != nil || tc.want != 0 && connect.CodeOf(err) != tc.want {
					t.Errorf("error %v", err)
				}
			}
		})
	}
}

func TestANewerStreamOfAPodEndsTheOlderOne(t *testing.T) {
	s := serve(t, Limits{})
	older, err := s.attach(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	newer, err := s.attach(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if older.Receive() || connect.CodeOf(older.Err()) != connect.CodeAborted {
		t.Errorf("the older one: %v", older.Err())
	}
	_ = older.Close()
	_ = newer.Close()
}

func TestOpenStreamsAreCounted(t *testing.T) {
	var open atomic.Int32
	s := serveWith(t, func(d *Deps) { d.Streams = func(change int) { open.Add(int32(change)) } })
	await := func(want int32) {
		t.Helper()
		gomega.NewWithT(t).Eventually(open.Load, "10s", "2ms").Should(gomega.Equal(want))
	}
	a, err := s.attach(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	await(1)
	b, err := s.attach(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	await(2)
	_ = a.Close()
	await(1)
	_ = b.Close()
	await(0)
}

func TestTooManyStreamsAreRefusedAtOnce(t *testing.T) {
	s := serve(t, Limits{Streams: 1})
	stream, err := s.attach(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.attach(t.Context(), "b"); connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("error %v", err)
	}
	_ = stream.Close()
}

func TestWhenTheServerStopsPodsAreToldToTryAgain(t *testing.T) {
	s := serve(t, Limits{})
	stream, err := s.attach(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	if stream.Receive() || connect.CodeOf(stream.Err()) != connect.CodeUnavailable {
		t.Errorf("error %v", stream.Err())
	}
	_ = stream.Close()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestATokenIsReviewedOnceInAWhile(t *testing.T) {
	for name, tc := range map[string]struct {
		token          string
		within, beyond time.Duration
	}{
		"a good one":                     {"a", 59 * time.Second, 2 * time.Second},
		"one that will expire":           {"", 18 * time.Second, 2 * time.Second},
		"a bad one":                      {"made up", 4 * time.Second, 2 * time.Second},
		"a good one, not bound to a pod": {"nobody", 59 * time.Second, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, Limits{})
			if tc.token == "" {
				tc.token = s.jwt(fmt.Sprintf(`{"aud":"hsj.paia.tech","exp":%d}`, s.clock.Now().Add(20*time.Second).Unix()), podToken("a"))
			}
			call := func() { _, _ = s.pod(tc.token).Report(t.Context(), &standbyv1.ReportRequest{}) }
			call()
			s.clock.Step(tc.within)
			call()
			if n := s.count(); n != 1 {
				t.Errorf("reviewed %d times within %v", n, tc.within)
			}
			s.clock.Step(tc.beyond)
			call()
			if n := s.count(); n != 2 {
				t.Errorf("reviewed %d times after %v", n, tc.within+tc.beyond)
			}
		})
	}
}

func TestTheTokenOfAnOpenStreamIsNotReviewedAnew(t *testing.T) {
	var open atomic.Int32
	s := serveWith(t, func(d *Deps) { d.Streams = func(change int) { open.Add(int32(change)) } })
	token := s.jwt(fmt.Sprintf(`{"aud":"hsj.paia.tech","exp":%d}`, s.clock.Now().Add(time.Hour).Unix()), podToken("a"))
	stream, err := s.attach(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	reviewed := func(what string, want int) {
		t.Helper()
		_, _ = s.pod(token).Report(t.Context(), &standbyv1.ReportRequest{})
		if n := s.count(); n != want {
			t.Errorf("%s: reviewed %d times, want %d", what, n, want)
		}
	}
	s.clock.Step(30 * time.Minute)
	reviewed("while the stream is open", 1)
	other, err := s.attach(t.Context(), token) // which ends the older one
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Close()
	gomega.NewWithT(t).Eventually(open.Load, "10s", "2ms").Should(gomega.Equal(int32(1)))
	s.clock.Step(15 * time.Minute)
	reviewed("while another is", 1)
	_ = other.Close()
	gomega.NewWithT(t).Eventually(open.Load, "10s", "2ms").Should(gomega.Equal(int32(0)))
	reviewed("without a stream", 2)
	last, err := s.attach(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	s.clock.Step(16 * time.Minute)
	reviewed("when the token has ended", 3)
	_ = last.Close()
}

func TestWithoutAnAnswerNobodyIsLetInAndNothingIsRemembered(t *testing.T) {
	s := serve(t, Limits{})
	s.broken = true
	if _, err := s.attach(t.Context(), "a"); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("error %v", err)
	}
	s.mu.Lock()
	s.broken = false
	s.mu.Unlock()
	stream, err := s.attach(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Close()
}
