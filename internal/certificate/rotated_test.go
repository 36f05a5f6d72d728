// SPDX-License-Identifier: Apache-2.0

package certificate

import (
	"net/http/httptest"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

func TestReadyWhenTheAPIServerKnowsWhomToTrust(t *testing.T) {
	k := made(t, "a.example")
	hooks := &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "launcher"}, Webhooks: []admissionregistrationv1.MutatingWebhook{{Name: "launcher.example.com"}},
	}
	c := fake.NewClientBuilder().WithObjects(hooks).Build()
	s := &Serving{told: (&telling{client: c, webhook: "launcher"}).check}
	if _, err := s.take(k); err != nil {
		t.Fatal(err)
	}
	probe := httptest.NewRequestWithContext(t.Context(), "GET", "/readyz", nil)
	if err := s.Ready(probe); err == nil || !strings.Contains(err.Error(), "no caBundle yet") {
		t.Errorf("ready before the webhook's configuration has the authority: %v", err)
	}
	hooks.Webhooks[0].ClientConfig.CABundle = k.ca
	if err := c.Update(t.Context(), hooks); err != nil {
		t.Fatal(err)
	}
	if err := s.Ready(probe); err != nil {
		t.Errorf("not ready after it: %v", err)
	}
	if err := c.Delete(t.Context(), hooks); err != nil {
		t.Fatal(err)
	}
	if err := s.Ready(probe); err != nil {
		t.Errorf("it isn't asked only until it was told: %v", err)
	}
	without := &Serving{told: (&telling{client: c, webhook: "launcher"}).check}
	without.current.Store(s.current.Load())
	if err := without.Ready(probe); err != nil {
		t.Errorf("not ready without a webhook: %v", err)
	}
}
