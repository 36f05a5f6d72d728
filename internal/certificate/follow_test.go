// SPDX-License-Identifier: Apache-2.0

package certificate

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

var secretName = types.NamespacedName{Namespace: "ops", Name: "certificate"}

// current is a cache that is never behind.
type current struct {
	cache.Cache

	client client.Client
}

func (c current) Get(ctx context.Context, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
	return c.client.Get(ctx, key, o, options...)
}

// secretOf is what the rotator writes.
func secretOf(k keys) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: secretName.Namespace, Name: secretName.Name},
		Data:       map[string][]byte{"tls.crt": k.chain, "tls.key": k.key, "ca.crt": k.ca, "ca.key": k.caKey},
	}
}

func following(t *testing.T, secrets ...client.Object) *follower {
	t.Helper()
	c := fake.NewClientBuilder().WithObjects(secrets...).Build()
	return &follower{
		cache: current{client: c}, client: c, serving: &Serving{}, log: logr.Discard(),
		options: Options{Secret: secretName, Names: []string{"a.example", "b.example"}},
	}
}

func TestFollowerServesWithWhatTheSecretHolds(t *testing.T) {
	k := made(t, "a.example", "b.example")
	f := following(t, secretOf(k))
	for _, leads := range []bool{false, true} {
		if err := f.sync(t.Context(), leads); err != nil {
			t.Fatal(err)
		}
		if err := visit(t, f.serving, "b.example", k.ca); err != nil {
			t.Error(err)
		}
		secret := &corev1.Secret{}
		if err := f.client.Get(t.Context(), secretName, secret); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(secret.Data["tls.crt"], k.chain) {
			t.Error("a certificate that has all names was dropped")
		}
	}
}

func TestFollowerHasACertificateThatLacksANameMadeAgain(t *testing.T) {
	k := made(t, "a.example")
	f := following(t, secretOf(k))
	kept := func() map[string]bool {
		secret := &corev1.Secret{}
		if err := f.client.Get(t.Context(), secretName, secret); err != nil {
			t.Fatal(err)
		}
		keys := map[string]bool{}
		for k := range secret.Data {
			keys[k] = true
		}
		return keys
	}
	if err := f.sync(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if len(kept()) != 4 {
		t.Errorf("an operator that doesn't lead changed the Secret: %v", kept())
	}
	if err := f.sync(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]bool{"ca.crt": true, "ca.key": true}, kept()); diff != "" {
		t.Errorf("what is kept of the Secret (-want +got):\n%s", diff)
	}
	// Until there is another it is served on.
	if err := f.sync(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if err := visit(t, f.serving, "a.example", k.ca); err != nil {
		t.Error(err)
	}
}

func TestFollowerMakesTheSecretThatIsGone(t *testing.T) {
	f := following(t)
	if err := f.sync(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if err := f.client.Get(t.Context(), secretName, &corev1.Secret{}); !apierrors.IsNotFound(err) {
		t.Errorf("an operator that doesn't lead made the Secret, error %v", err)
	}
	for range 2 {
		if err := f.sync(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		if err := f.client.Get(t.Context(), secretName, &corev1.Secret{}); err != nil {
			t.Error(err)
		}
	}
	if err := f.serving.Ready(nil); err == nil {
		t.Error("there is a certificate in an empty Secret")
	}
}

func TestFollowerKeepsWhatItHasWhenTheSecretIsBroken(t *testing.T) {
	k := made(t, "a.example", "b.example")
	f := following(t, secretOf(k))
	if err := f.sync(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	broken := k
	broken.chain = []byte("nonsense")
	if err := f.client.Update(t.Context(), secretOf(broken)); err != nil {
		t.Fatal(err)
	}
	if err := f.sync(t.Context(), true); err == nil || !strings.Contains(err.Error(), "ops/certificate") {
		t.Errorf("the error is %v", err)
	}
	if err := visit(t, f.serving, "a.example", k.ca); err != nil {
		t.Error(err)
	}
}

// wire notes what is asked.
type wire struct{ asked []string }

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.asked = append(w.asked, r.Method+" "+r.URL.RequestURI())
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(""))}, nil
}

func TestListsAndWatchesAskForOneObject(t *testing.T) {
	w := &wire{}
	s := &selecting{next: w, names: map[string]string{"secrets": "certificate"}}
	for _, request := range [][2]string{
		{"GET", "/api/v1/namespaces/ops/secrets?watch=true"},
		{"GET", "/api/v1/namespaces/ops/secrets/certificate"},
		{"GET", "/api/v1/namespaces/ops/pods"},
		{"POST", "/api/v1/namespaces/ops/secrets"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), request[0], "https://server"+request[1], nil)
		if err != nil {
			t.Fatal(err)
		}
		before := r.URL.String()
		response, err := s.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if r.URL.String() != before {
			t.Errorf("the request given was changed to %s", r.URL)
		}
	}
	want := []string{
		"GET /api/v1/namespaces/ops/secrets?fieldSelector=metadata.name%3Dcertificate&watch=true",
		"GET /api/v1/namespaces/ops/secrets/certificate",
		"GET /api/v1/namespaces/ops/pods",
		"POST /api/v1/namespaces/ops/secrets",
	}
	if diff := cmp.Diff(want, w.asked); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
