// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/go-logr/logr"
	"go.uber.org/goleak"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/client/launcherv1/launcherv1connect"
	"github.com/paia-tech/hotstandbyjob/internal/protocol/standbyv1/standbyv1connect"
	"github.com/paia-tech/hotstandbyjob/internal/standby"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var game = types.NamespacedName{Namespace: "games", Name: "game"}

// token is one that the API server knows. Without an audience it is for the API server itself.
type token struct {
	audience string
	user     authenticationv1.UserInfo
}

// podToken is the token of a pod that is named like its UID.
func podToken(name string) token {
	return token{v1alpha1.TokenAudience, authenticationv1.UserInfo{
		Username: "system:serviceaccount:games:default",
		Extra:    map[string]authenticationv1.ExtraValue{extraPodName: {name}, extraPodUID: {"uid-" + name}},
	}}
}

// served is a gateway that is served, and the API server behind it.
type served struct {
	client   *fake.Clientset
	registry *standby.Registry
	clock    *clocktesting.FakeClock
	http     *http.Client
	url      string
	stop     func() error

	mu       sync.Mutex
	tokens   map[string]token
	denied   map[string]bool // verbs
	broken   bool            // reviews fail
	reviews  int             // of tokens
	accesses []authorizationv1.SubjectAccessReviewSpec
}

type fixedPools struct{}

func (fixedPools) Template(_ context.Context, pool types.NamespacedName) (corev1.PodTemplateSpec, string, error) {
	switch pool {
	case game:
		return corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{
			{Name: "sidecar", Image: "s"},
			{Name: "main", Image: "m", Command: []string{"serve"}, Args: []string{"--all"}, Env: []corev1.EnvVar{{Name: "A", Value: "a"}, {Name: "B", Value: "$(A)"}}},
		}}}, "main", nil
	case types.NamespacedName{Namespace: "games", Name: "pull"}:
		return corev1.PodTemplateSpec{}, "", ErrNotPush
	}
	return corev1.PodTemplateSpec{}, "", apierrors.NewNotFound(schema.GroupResource{Group: v1alpha1.GroupName, Resource: "hotstandbyjobs"}, pool.Name)
}

func serve(t *testing.T, limits Limits) *served {
	t.Helper()
	return serveWith(t, func(d *Deps) { d.Limits = limits })
}

func serveWith(t *testing.T, change func(*Deps)) *served {
	t.Helper()
	s := &served{client: fake.NewClientset(), clock: clocktesting.NewFakeClock(time.Now()), denied: map[string]bool{}}
	s.tokens = map[string]token{
		"a": podToken("a"), "b": podToken("b"),
		"elsewhere": {"other.example.org", podToken("a").user},
		"nobody":    {v1alpha1.TokenAudience, authenticationv1.UserInfo{Username: "system:serviceaccount:games:default"}},
		"halfway": {v1alpha1.TokenAudience, authenticationv1.UserInfo{
			Username: "system:serviceaccount:games:default", Extra: map[string]authenticationv1.ExtraValue{extraPodName: {"a"}},
		}},
		"person in disguise": {v1alpha1.TokenAudience, authenticationv1.UserInfo{Username: "jane", Extra: podToken("a").user.Extra}},
		"jane":               {"", authenticationv1.UserInfo{Username: "jane", Groups: []string{"players"}}},
		"joe":                {"", authenticationv1.UserInfo{Username: "joe"}},
	}
	s.client.PrependReactor("create", "tokenreviews", s.review)
	s.client.PrependReactor("create", "subjectaccessreviews", s.access)
	s.client.PrependReactor("create", "jobs", generateNames())
	s.registry = standby.New(standby.Deps{Client: s.client, Clock: clock.RealClock{}, Log: logr.Discard()})
	s.registry.SetPool(game, standby.PoolSettings{Revision: "r1"})
	log := slog.New(slog.DiscardHandler)
	d := Deps{Client: s.client, Registry: s.registry, Pools: fixedPools{}, Clock: s.clock, Log: log}
	change(&d)
	s.start(t, New(d), log)
	return s
}

// start serves a gateway by TLS, with a certificate of httptest's.
func (s *served) start(t *testing.T, g http.Handler, log *slog.Logger) {
	t.Helper()
	certificates := httptest.NewTLSServer(nil)
	certificates.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(certificates.Certificate())
	s.http = &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: trusted}}}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.url = "https://" + listener.Addr().String()
	server := &Server{
		Handler: g, Listener: listener, Log: log,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificates.TLS.Certificates[0], nil },
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- server.Start(ctx) }()
	s.stop = sync.OnceValue(func() error {
		cancel()
		return <-stopped
	})
	t.Cleanup(func() {
		s.http.CloseIdleConnections() // or the server gives them a second for noticing that it stops
		if err := s.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		s.http.CloseIdleConnections()
	})
}

// generateNames does what the API server does, and its fake doesn't.
func generateNames() clienttesting.ReactionFunc {
	n := 0
	return func(action clienttesting.Action) (bool, runtime.Object, error) {
		create, _ := action.(clienttesting.CreateAction)
		o, _ := create.GetObject().(metav1.Object)
		if o.GetName() == "" {
			n++
			o.SetName(fmt.Sprint(o.GetGenerateName(), n))
		}
		o.SetUID(types.UID("uid-" + o.GetName()))
		return false, nil, nil
	}
}

func (s *served) review(action clienttesting.Action) (bool, runtime.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reviews++
	if s.broken {
		return true, nil, errors.New("connection refused")
	}
	create, _ := action.(clienttesting.CreateAction)
	review, _ := create.GetObject().(*authenticationv1.TokenReview)
	review = review.DeepCopy()
	known, ok := s.tokens[review.Spec.Token]
	switch {
	case !ok:
		review.Status.Error = "unknown"
	case known.audience == "" && len(review.Spec.Audiences) == 0, slices.Contains(review.Spec.Audiences, known.audience):
		review.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: known.user, Audiences: review.Spec.Audiences}
	default:
		review.Status.Error = "another audience"
	}
	return true, review, nil
}

func (s *served) access(action clienttesting.Action) (bool, runtime.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	create, _ := action.(clienttesting.CreateAction)
	review, _ := create.GetObject().(*authorizationv1.SubjectAccessReview)
	review = review.DeepCopy()
	s.accesses = append(s.accesses, review.Spec)
	review.Status.Allowed = !s.denied[review.Spec.ResourceAttributes.Verb]
	return true, review, nil
}

// count is how many tokens were reviewed.
func (s *served) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reviews
}

// jwt is a token with claims, known to the API server.
func (s *served) jwt(claims string, t token) string {
	text := "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[text] = t
	return text
}

// bearing adds a token to all calls.
type bearing string

func (b bearing) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
		b.set(r.Header())
		return next(ctx, r)
	}
}

func (b bearing) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		c := next(ctx, spec)
		b.set(c.RequestHeader())
		return c
	}
}

func (bearing) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

func (b bearing) set(h http.Header) {
	if b != "" {
		h.Set("Authorization", "Bearer "+string(b))
	}
}

func (s *served) pod(token string) standbyv1connect.StandbyClient {
	return standbyv1connect.NewStandbyClient(s.http, s.url, connect.WithInterceptors(bearing(token)))
}

func (s *served) launcher(token string) launcherv1connect.LauncherClient {
	return launcherv1connect.NewLauncherClient(s.http, s.url, connect.WithInterceptors(bearing(token)))
}

// idle makes an idle pod.
func (s *served) idle(t *testing.T, name string) *corev1.Pod {
	t.Helper()
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "games", Name: name, UID: types.UID("uid-" + name), ResourceVersion: "1",
			Labels:      map[string]string{v1alpha1.LabelName: "game", v1alpha1.LabelState: "idle", v1alpha1.LabelRevision: "r1"},
			Annotations: map[string]string{v1alpha1.AnnotationPayload: ""},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "HotStandbyJob", Name: "game", UID: "pool", Controller: new(true),
			}},
		},
		Spec: corev1.PodSpec{NodeName: "n1"},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: "10.0.0.1", Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	}
	if err := s.client.Tracker().Add(p); err != nil {
		t.Fatal(err)
	}
	s.registry.Observe(p)
	return p
}
