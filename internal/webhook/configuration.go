// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

const (
	// ConfigurationName is the name of the MutatingWebhookConfiguration that is installed with the operator.
	ConfigurationName = "hotstandbyjob-launcher"
	// Service is the name of the Service that leads to the webhook.
	Service = "hotstandbyjob-webhook"
)

// Configuration is what tells the API server about the webhook. With namespaces, it is for these alone. The installed
// one is a manifest, which a test holds against this.
func Configuration(name string, to admissionregistrationv1.WebhookClientConfig, namespaces ...string) *admissionregistrationv1.MutatingWebhookConfiguration {
	hook := admissionregistrationv1.MutatingWebhook{
		Name:         "launcher.hsj.paia.tech",
		ClientConfig: to,
		Rules: []admissionregistrationv1.RuleWithOperations{{
			Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
			Rule: admissionregistrationv1.Rule{
				APIGroups: []string{"batch"}, APIVersions: []string{"v1"}, Resources: []string{"jobs"},
				Scope: new(admissionregistrationv1.NamespacedScope),
			},
		}},
		ObjectSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: v1alpha1.LabelPool, Operator: metav1.LabelSelectorOpExists},
		}},
		MatchConditions: []admissionregistrationv1.MatchCondition{
			{Name: "not-managed-yet", Expression: "!has(object.spec.managedBy)"},
		},
		MatchPolicy: new(admissionregistrationv1.Equivalent),
		// Without the operator Jobs are ordinary Jobs.
		FailurePolicy:  new(admissionregistrationv1.Ignore),
		SideEffects:    new(admissionregistrationv1.SideEffectClassNone),
		TimeoutSeconds: new(int32(1)),
		// Nothing that another webhook changes later would change the answer, and warnings would be shown twice.
		ReinvocationPolicy:      new(admissionregistrationv1.NeverReinvocationPolicy),
		AdmissionReviewVersions: []string{"v1"},
	}
	if len(namespaces) > 0 {
		hook.NamespaceSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpIn, Values: namespaces},
		}}
	}
	return &admissionregistrationv1.MutatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "MutatingWebhookConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Webhooks:   []admissionregistrationv1.MutatingWebhook{hook},
	}
}
