// SPDX-License-Identifier: Apache-2.0

package dns

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
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
