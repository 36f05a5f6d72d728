// SPDX-License-Identifier: Apache-2.0

package dns

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"path"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/paia-tech/hotstandbyjob/lab/internal/image"
)

func TestManifestsGoWhereTheyBelong(t *testing.T) {
	objects, err := render("10.92.7.10")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range objects {
		got = append(got, o.path)
	}
	want := []string{
		"/api/v1/namespaces/kube-system/serviceaccounts/coredns",
		"/apis/rbac.authorization.k8s.io/v1/clusterroles/system:coredns",
		"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/system:coredns",
		"/api/v1/namespaces/kube-system/configmaps/coredns",
		"/apis/apps/v1/namespaces/kube-system/deployments/coredns",
		"/api/v1/namespaces/kube-system/services/kube-dns",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

func TestManifestsAreStrictlyTyped(t *testing.T) {
	objects, err := render("10.92.7.10")
	if err != nil {
		t.Fatal(err)
	}
	var d appsv1.Deployment
	var s corev1.Service
	for path, into := range map[string]any{
		"/apis/apps/v1/namespaces/kube-system/deployments/coredns": &d,
		"/api/v1/namespaces/kube-system/services/kube-dns":         &s,
	} {
		for _, o := range objects {
			if o.path == path {
				if err := yaml.UnmarshalStrict(o.manifest, into); err != nil {
					t.Errorf("%s: %v", path, err)
				}
			}
		}
	}
	if s.Spec.ClusterIP != "10.92.7.10" {
		t.Errorf("DNS is at %q, want the address that the kubelet tells pods", s.Spec.ClusterIP)
	}
	if len(d.Spec.Template.Spec.Containers) != 1 || d.Spec.Template.Spec.Containers[0].Image != image.CoreDNS {
		t.Errorf("containers are %v, want one of the lab's own image", d.Spec.Template.Spec.Containers)
	}
}

// taken is what an API server says of an address that is.
var taken = field.Invalid(field.NewPath("spec", "clusterIPs"), []string{"10.92.7.10"},
	"failed to allocate IP 10.92.7.10: provided IP is already allocated")

func TestApplyWaitsForTheAddress(t *testing.T) {
	server := refuser(t, "kube-dns", taken, 2)
	var said []error
	err := Apply(t.Context(), server, "10.92.7.10", func(err error) { said = append(said, err) })
	if err != nil {
		t.Error(err)
	}
	if len(said) != 1 || !apierrors.IsInvalid(said[0]) {
		t.Errorf("said %v, want one refusal", said)
	}
}

func TestApplySaysWhoHadTheAddressWhenItGivesUp(t *testing.T) {
	server := refuser(t, "kube-dns", taken, -1)
	tooLong := errors.New("too long")
	ctx, cancel := context.WithCancelCause(t.Context())
	err := Apply(ctx, server, "10.92.7.10", func(error) { cancel(tooLong) })
	if !errors.Is(err, tooLong) || !addressRefused(err) {
		t.Errorf("error is %v, want what the API server said and %v", err, tooLong)
	}
}

func TestApplyDoesNotWaitForWhatStaysWrong(t *testing.T) {
	server := refuser(t, "coredns", field.Required(field.NewPath("spec", "selector"), "no selector"), -1)
	err := Apply(t.Context(), server, "10.92.7.10", func(err error) { t.Errorf("waits after %v", err) })
	if !apierrors.IsInvalid(err) {
		t.Errorf("error is %v, want that it is invalid", err)
	}
}

// refuser is an API server that refuses an object so often, or always.
func refuser(t *testing.T, name string, why *field.Error, times int) *rest.Config {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if path.Base(r.URL.Path) != name || times == 0 {
			_, _ = w.Write([]byte("{}"))
			return
		}
		times--
		invalid := apierrors.NewInvalid(schema.GroupKind{}, name, field.ErrorList{why})
		invalid.ErrStatus.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
		w.WriteHeader(int(invalid.ErrStatus.Code))
		_ = json.NewEncoder(w).Encode(invalid.ErrStatus)
	}))
	t.Cleanup(server.Close)
	return &rest.Config{Host: server.URL}
}
