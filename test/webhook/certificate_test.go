// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"bytes"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/paia-tech/hotstandbyjob/internal/certificate"
	"github.com/paia-tech/hotstandbyjob/internal/webhook"
)

// secret is the one that the manifests name.
const secret = "hotstandbyjob-certificate"

// install makes the configuration of a webhook, and a service account with the permissions of the manifests. All of it
// is for this environment alone.
func (e *env) install() *rest.Config {
	e.Helper()
	const path = "../../config/webhook/role.yaml"
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: e.namespace, Name: "operator"}}
	subjects := []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: e.namespace, Name: account.Name}}
	role, binding := &rbacv1.Role{}, &rbacv1.RoleBinding{}
	e.read(path, role)
	e.read(path, binding)
	role.Namespace, binding.Namespace, binding.Subjects = e.namespace, e.namespace, subjects
	clusterRole, clusterBinding := &rbacv1.ClusterRole{}, &rbacv1.ClusterRoleBinding{}
	e.read(path, clusterRole)
	e.read(path, clusterBinding)
	clusterRole.Name, clusterBinding.Name, clusterBinding.RoleRef.Name, clusterBinding.Subjects = e.namespace, e.namespace, e.namespace, subjects
	clusterRole.Rules[0].ResourceNames = []string{e.namespace}
	hook := webhook.Configuration(e.namespace, admissionregistrationv1.WebhookClientConfig{
		Service: &admissionregistrationv1.ServiceReference{Namespace: e.namespace, Name: webhook.Service, Path: new(webhook.Path)},
	}, e.namespace)
	e.create(account, role, binding, clusterRole, clusterBinding, hook)
	config := rest.CopyConfig(e.config)
	config.Impersonate.UserName = "system:serviceaccount:" + e.namespace + ":" + account.Name
	return config
}

// replica runs an operator, as far as certificates go.
func (e *env) replica(config *rest.Config, name string, names ...string) (serving *certificate.Serving, stop func()) {
	e.Helper()
	serving, mgr := e.prepare(config, name, names...)
	return serving, e.start(mgr)
}

func (e *env) prepare(config *rest.Config, name string, names ...string) (*certificate.Serving, ctrl.Manager) {
	e.Helper()
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme(e.T), Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		LeaderElection: true, LeaderElectionID: "certificate", LeaderElectionNamespace: e.namespace, LeaderElectionConfig: e.config,
		LeaderElectionReleaseOnCancel: true, RetryPeriod: new(200 * time.Millisecond),
	})
	if err != nil {
		e.Fatal(err)
	}
	serving, err := certificate.Rotated(e.Context(), mgr, certificate.Options{
		Secret: types.NamespacedName{Namespace: e.namespace, Name: secret}, Names: names, Webhook: e.namespace,
		Controller: e.namespace + "-" + name,
	})
	if err != nil {
		e.Fatal(err)
	}
	return serving, mgr
}

// awaitAgreement returns the authority's and the server's certificate when all replicas serve with what the Secret
// holds and the API server trusts it, and changed from before.
func (e *env) awaitAgreement(before []byte, replicas ...*certificate.Serving) (ca []byte, leaf *x509.Certificate) {
	e.Helper()
	e.await("the certificate is everywhere", func(g gomega.Gomega) {
		s := &corev1.Secret{}
		g.Expect(e.client.Get(e.Context(), types.NamespacedName{Namespace: e.namespace, Name: secret}, s)).To(gomega.Succeed())
		ca = s.Data["ca.crt"]
		g.Expect(ca).NotTo(gomega.BeEmpty())
		g.Expect(bytes.Equal(ca, before)).To(gomega.BeFalse())
		hook := &admissionregistrationv1.MutatingWebhookConfiguration{}
		g.Expect(e.client.Get(e.Context(), types.NamespacedName{Name: e.namespace}, hook)).To(gomega.Succeed())
		g.Expect(bytes.Equal(hook.Webhooks[0].ClientConfig.CABundle, ca)).To(gomega.BeTrue(), "the API server trusts the authority")
		for _, r := range replicas {
			g.Expect(bytes.Equal(r.CA(), ca)).To(gomega.BeTrue(), "the replica serves by the authority")
			pair, err := r.GetCertificate(nil)
			g.Expect(err).NotTo(gomega.HaveOccurred())
			leaf = pair.Leaf
		}
	})
	return ca, leaf
}

func TestCertificatesAreMadeAndKept(t *testing.T) {
	e := newEnv(t)
	config := e.install()
	name := webhook.Service + "." + e.namespace + ".svc"
	first, stop := e.replica(config, "first", name)
	second, _ := e.replica(config, "second", name, "gateway.example")
	ca, leaf := e.awaitAgreement(nil, first, second)
	for _, r := range []*certificate.Serving{first, second} {
		if err := r.Ready(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", nil)); err != nil {
			t.Error(err)
		}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots}); err != nil {
		t.Error(err)
	}

	// Whoever deletes the Secret gets a new authority, everywhere.
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: e.namespace, Name: secret}}
	if err := e.client.Delete(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	ca, _ = e.awaitAgreement(ca, first, second)

	// The second replica is of a later version, whose certificate has one more name.
	stop()
	e.await("the certificate has the new name", func(g gomega.Gomega) {
		pair, err := second.GetCertificate(nil)
		g.Expect(err).NotTo(gomega.HaveOccurred())
		g.Expect(pair.Leaf.DNSNames).To(gomega.Equal([]string{name, "gateway.example"}))
	})
	if !bytes.Equal(second.CA(), ca) {
		t.Error("for a new name there is a new authority: clients that know the old one are locked out")
	}

	// What the rotator's permissions are for is all that they give.
	operator := e.clientOf(config)
	if err := operator.List(t.Context(), &corev1.SecretList{}, client.InNamespace(e.namespace)); err == nil {
		t.Error("the operator can read all Secrets of its namespace")
	}
}

func TestASecretThatIsGoneWhenAnOperatorBeginsToLeadIsMadeAgain(t *testing.T) {
	e := newEnv(t)
	serving, mgr := e.prepare(e.install(), "only", "gateway.example")
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: e.namespace, Name: secret}}
	if err := e.client.Delete(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	e.start(mgr)
	e.awaitAgreement(nil, serving)
}
