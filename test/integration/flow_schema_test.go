// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/onsi/gomega"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/paia-tech/hotstandbyjob/test/kit"
	"github.com/paia-tech/hotstandbyjob/test/tool"
)

// The API server itself says in which queue it put a request.
func TestClaimsAndTheLeaseGoFirst(t *testing.T) {
	t.Parallel()
	e := kit.New(t)
	rendered := objects(t, strings.ReplaceAll(tool.Render(t, tool.Helm4, chartSpace), chartSpace, e.Namespace))
	flows := map[string]*flowcontrolv1.FlowSchema{}
	for _, name := range []string{"hotstandbyjob-leader-election", "hotstandbyjob-claims"} {
		flow := &flowcontrolv1.FlowSchema{}
		typed(t, rendered["FlowSchema "+name], flow)
		e.CreateClusterWide(flow)
		flows[name] = flow
	}
	operator := rest.CopyConfig(e.Config)
	operator.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:" + e.Namespace + ":hotstandbyjob-operator"}
	client, err := rest.HTTPClientFor(operator)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ method, path, flow string }{
		"a claim":         {http.MethodPatch, "/api/v1/namespaces/games/pods/warm-x", "hotstandbyjob-claims"},
		"the Lease":       {http.MethodPut, "/apis/coordination.k8s.io/v1/namespaces/" + e.Namespace + "/leases/lease", "hotstandbyjob-leader-election"},
		"another's Lease": {http.MethodPut, "/apis/coordination.k8s.io/v1/namespaces/games/leases/lease", ""},
		"a replacement":   {http.MethodPost, "/api/v1/namespaces/games/pods", ""},
		"status":          {http.MethodPatch, "/apis/batch/v1/namespaces/games/jobs/job/status", ""},
	} {
		e.Await("the server has taken the FlowSchemas, and puts "+name+" where it belongs", func(g gomega.Gomega) {
			request, err := http.NewRequestWithContext(t.Context(), tc.method, e.Config.Host+tc.path, http.NoBody)
			g.Expect(err).NotTo(gomega.HaveOccurred())
			response, err := client.Do(request)
			g.Expect(err).NotTo(gomega.HaveOccurred())
			defer func() { _ = response.Body.Close() }()
			uid, flow := response.Header.Get(flowcontrolv1.ResponseHeaderMatchedFlowSchemaUID), ""
			for name, f := range flows {
				if uid == string(f.UID) {
					flow = name
				}
			}
			g.Expect(uid).NotTo(gomega.BeEmpty())
			g.Expect(flow).To(gomega.Equal(tc.flow))
		})
	}
	for name, flow := range flows {
		e.Await("the priority level of "+name+" exists", func(g gomega.Gomega) {
			key := types.NamespacedName{Name: flow.Spec.PriorityLevelConfiguration.Name}
			g.Expect(e.Client.Get(t.Context(), key, &flowcontrolv1.PriorityLevelConfiguration{})).To(gomega.Succeed())
		})
	}
}
