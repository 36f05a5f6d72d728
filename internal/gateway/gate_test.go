// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	typedv1 "k8s.io/client-go/kubernetes/typed/authentication/v1"
	clocktesting "k8s.io/utils/clock/testing"
)

// slow is an API server that reviews the tokens of clients at once, and those of pods when it is told to.
type slow struct {
	kubernetes.Interface
	typedv1.AuthenticationV1Interface
	typedv1.TokenReviewInterface

	asked, answer chan struct{}
}

func (s slow) AuthenticationV1() typedv1.AuthenticationV1Interface { return s }
func (s slow) TokenReviews() typedv1.TokenReviewInterface          { return s }

func (s slow) Create(ctx context.Context, r *authenticationv1.TokenReview, _ metav1.CreateOptions) (*authenticationv1.TokenReview, error) {
	if len(r.Spec.Audiences) > 0 { // a pod's
		s.asked <- struct{}{}
		select {
		case <-s.answer:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	r.Status = authenticationv1.TokenReviewStatus{Authenticated: true, Audiences: r.Spec.Audiences, User: podToken("a").user}
	return r, nil
}

func TestClientsDoNotWaitBehindPods(t *testing.T) {
	api := slow{Interface: fake.NewClientset(), asked: make(chan struct{}), answer: make(chan struct{})}
	g := newGate(&Deps{
		Client: api, Clock: clocktesting.NewFakeClock(time.Now()), Log: slog.New(slog.DiscardHandler), Limits: Limits{Reviews: 1}.withDefaults(),
	})
	header := func(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }
	pod := make(chan error)
	go func() {
		_, err := g.pods(t.Context(), connect.Spec{}, connect.Peer{}, header("a pod's"))
		pod <- err
	}()
	<-api.asked
	if _, err := g.clients(t.Context(), connect.Spec{}, connect.Peer{}, header("a client's")); err != nil {
		t.Errorf("a client while a pod's token is being reviewed: %v", err)
	}
	close(api.answer)
	if err := <-pod; err != nil {
		t.Error(err)
	}
}
