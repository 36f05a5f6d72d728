// SPDX-License-Identifier: Apache-2.0

// Package webhook tests the webhook and its certificates against a real API server.
package webhook

import (
	"context"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/lab/labtest"
)

// patience is far longer than anything takes, since machines that test are loaded.
const patience = 2 * time.Minute

type env struct {
	*testing.T

	config    *rest.Config
	client    client.Client
	namespace string
}

func newEnv(t *testing.T) *env {
	t.Helper()
	l := labtest.Shared(t)
	config, err := l.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	e := &env{T: t, config: config, namespace: labtest.Namespace(t, l)}
	e.client = e.clientOf(config)
	crd := &apiextensionsv1.CustomResourceDefinition{}
	e.read("../../config/crd/apps.paia.tech_hotstandbyjobs.yaml", crd)
	//nolint:staticcheck // Apply wants apply configurations, which a file isn't
	if err := e.client.Patch(t.Context(), crd, client.Apply, client.FieldOwner("hsj-tests"), client.ForceOwnership); err != nil {
		t.Fatalf("apply the CRD: %v", err)
	}
	e.await("the API is served", func(g gomega.Gomega) {
		g.Expect(e.client.List(t.Context(), &v1alpha1.HotStandbyJobList{})).To(gomega.Succeed())
	})
	return e
}

func scheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, apiextensionsv1.AddToScheme} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (e *env) clientOf(config *rest.Config) client.Client {
	e.Helper()
	c, err := client.New(config, client.Options{Scheme: scheme(e.T)})
	if err != nil {
		e.Fatal(err)
	}
	return c
}

// read reads the first document of a manifest that is of the kind wanted.
func (e *env) read(path string, into client.Object) {
	e.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		e.Fatal(err)
	}
	kinds, _, err := scheme(e.T).ObjectKinds(into)
	if err != nil {
		e.Fatal(err)
	}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		if !strings.Contains(document, "\nkind: "+kinds[0].Kind+"\n") {
			continue
		}
		if err := yaml.UnmarshalStrict([]byte(document), into); err != nil {
			e.Fatal(err)
		}
		return
	}
	e.Fatalf("%s has no %s", path, kinds[0].Kind)
}

// create makes objects, and removes those that the namespace doesn't take with it.
func (e *env) create(objects ...client.Object) {
	e.Helper()
	for _, o := range objects {
		if err := e.client.Create(e.Context(), o); err != nil {
			e.Fatalf("create %T %s: %v", o, o.GetName(), err)
		}
		if o.GetNamespace() == "" {
			e.Cleanup(func() {
				if err := e.client.Delete(context.WithoutCancel(e.Context()), o); err != nil {
					e.Errorf("delete %T %s: %v", o, o.GetName(), err)
				}
			})
		}
	}
}

func (e *env) await(what string, f func(g gomega.Gomega)) {
	e.Helper()
	gomega.NewWithT(e.T).Eventually(f).WithContext(e.Context()).WithTimeout(patience).WithPolling(50*time.Millisecond).
		Should(gomega.Succeed(), what)
}

// start runs a manager until the test ends or stop is called.
func (e *env) start(mgr ctrl.Manager) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(e.Context()))
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			e.Errorf("the manager ended: %v", err)
		}
	}
	e.Cleanup(stop)
	return stop
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}
