// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"encoding/json"
	"strings"

	"github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/lab"
)

// Simulate has all pods of the namespace go to simulated nodes, whatever their manifest says, with these annotations
// added: manifests of others can be tried as they are where the machine couldn't run so many containers.
func (e *Env) Simulate(annotations map[string]string) {
	e.T.Helper()
	var spec corev1.PodSpec
	lab.OnSimulatedNode(&spec)
	patch := `[
		JSONPatch{op: "add", path: "/spec/nodeSelector", value: ` + cel(e, spec.NodeSelector) + `},
		JSONPatch{op: "add", path: "/spec/tolerations", value: [Object.spec.tolerations{key: "` + spec.Tolerations[0].Key + `", operator: "Exists"}]},
		JSONPatch{op: "add", path: "/metadata/annotations", value: has(object.metadata.annotations) ? object.metadata.annotations : {}},
	` + annotate(e, annotations) + `]`
	everything, once := admissionv1.Equivalent, admissionv1.NeverReinvocationPolicy
	fail := admissionv1.Fail
	name := "simulate-" + e.Namespace
	e.CreateClusterWide(&admissionv1.MutatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.MutatingAdmissionPolicySpec{
			FailurePolicy:      &fail,
			ReinvocationPolicy: once,
			MatchConstraints: &admissionv1.MatchResources{
				MatchPolicy:       &everything,
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: e.Namespace}},
				ObjectSelector:    &metav1.LabelSelector{},
				ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Create},
					Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
				}}},
			},
			Mutations: []admissionv1.Mutation{{
				PatchType: admissionv1.PatchTypeJSONPatch, JSONPatch: &admissionv1.JSONPatch{Expression: patch},
			}},
		},
	})
	e.CreateClusterWide(&admissionv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: name},
	})
	e.awaitSimulation()
}

// annotate writes the patches that add annotations.
func annotate(e *Env, annotations map[string]string) string {
	var text strings.Builder
	for key, value := range annotations {
		text.WriteString(`JSONPatch{op: "add", path: "/metadata/annotations/" + jsonpatch.escapeKey(` + cel(e, key) + `), value: ` + cel(e, value) + `},`)
	}
	return text.String()
}

// cel writes a value for an expression: maps and strings look there as they do in JSON.
func cel(e *Env, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		e.T.Fatal(err)
	}
	return string(text)
}

// awaitSimulation waits until the policy holds, which takes the API server a moment.
func (e *Env) awaitSimulation() {
	e.T.Helper()
	e.Await("pods go to simulated nodes", func(g gomega.Gomega) {
		p := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "simulated-", Namespace: e.Namespace},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "none"}}},
		}
		g.Expect(e.Client.Create(e.T.Context(), p, client.DryRunAll)).To(gomega.Succeed())
		g.Expect(p.Spec.NodeSelector).NotTo(gomega.BeEmpty())
	})
}
