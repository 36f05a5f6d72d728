// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"strconv"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// AddExternalMetrics has the API server pass requests for external metrics on to an address of this machine, until the test
// ends. A lab has one such API: tests that add it don't run side by side.
func (e *Env) AddExternalMetrics(address string) {
	e.T.Helper()
	port, err := strconv.ParseInt(portOf(e.T, address), 10, 32)
	if err != nil {
		e.T.Fatal(err)
	}
	// The API server runs on this machine, which has no route to Services' addresses.
	e.Create(&corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "external-metrics"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
	})
	api := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
		"metadata": map[string]any{"name": "v1beta1.external.metrics.k8s.io"},
		"spec": map[string]any{
			"group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": int64(100), "versionPriority": int64(100),
			"insecureSkipTLSVerify": true,
			"service":               map[string]any{"namespace": e.Namespace, "name": "external-metrics", "port": port},
		},
	}}
	e.CreateClusterWide(api)
	e.Await("the API of external metrics is available", func(g gomega.Gomega) {
		now := api.DeepCopy()
		g.Expect(e.Client.Get(e.T.Context(), client.ObjectKeyFromObject(now), now)).To(gomega.Succeed())
		conditions, _, _ := unstructured.NestedSlice(now.Object, "status", "conditions")
		g.Expect(conditions).To(gomega.ContainElement(gomega.And(
			gomega.HaveKeyWithValue("type", "Available"), gomega.HaveKeyWithValue("status", "True"))), "%v", conditions)
	})
}
