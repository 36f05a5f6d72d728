// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func manifest(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile("../../config/webhook/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		t.Fatal(err)
	}
}

func TestTheManifestIsTheConfiguration(t *testing.T) {
	var service corev1.Service
	manifest(t, "service.yaml", &service)
	var got admissionregistrationv1.MutatingWebhookConfiguration
	manifest(t, "configuration.yaml", &got)
	want := Configuration(ConfigurationName, admissionregistrationv1.WebhookClientConfig{
		Service: &admissionregistrationv1.ServiceReference{
			Name: Service, Namespace: service.Namespace, Path: new(Path), Port: &service.Spec.Ports[0].Port,
		},
	})
	if diff := cmp.Diff(want, &got); diff != "" {
		t.Errorf("(-Go +manifest):\n%s", diff)
	}
	if service.Name != Service {
		t.Errorf("the Service is %s, want %s", service.Name, Service)
	}
}

func TestAConfigurationForOneNamespace(t *testing.T) {
	hook := Configuration("test", admissionregistrationv1.WebhookClientConfig{}, "games").Webhooks[0]
	if got := hook.NamespaceSelector.MatchExpressions[0].Values; len(got) != 1 || got[0] != "games" {
		t.Errorf("it is for the namespaces %v", got)
	}
	if *hook.FailurePolicy != admissionregistrationv1.Ignore {
		t.Errorf("a failure is %s, so that without the operator Jobs are refused", *hook.FailurePolicy)
	}
}
