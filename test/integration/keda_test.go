// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"slices"
	"testing"

	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/lab"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// TestKEDA has KEDA itself, built from its module, drive a pool by what the operator tells it over TLS, and make Jobs that
// start warm.
func TestKEDA(t *testing.T) {
	e := kit.New(t)
	e.KEDA()
	e.NeedEntrypoint()
	address, hook := kit.FreeLoopback(t), e.FreeAddress()
	e.PushOperator(func(c *config.Operator) { c.Push.WebhookAddress, c.Scaler.Address = hook, address })
	h := filledPool(e, kit.PushPool("game").Idle(2))
	ca := e.Pods("game")[0].Annotations[v1alpha1.AnnotationGatewayCA]
	e.InstallWebhook(hook, []byte(ca))
	t.Run("jobs start warm", func(t *testing.T) { kedaJobsStartWarm(t, in(t, e), h) })
	t.Run("a pool follows its busy units", func(t *testing.T) { kedaDrivesAPool(t, in(t, e), address, ca) })
}

// in is the same namespace, for a part of a test.
func in(t *testing.T, e *kit.Env) *kit.Env {
	t.Helper()
	part := *e
	part.T = t
	return &part
}

// scaled makes an object of KEDA's. remove deletes it, which must be done while there is KEDA to let it go.
func scaled(e *kit.Env, kind, name string, content map[string]any) (o *unstructured.Unstructured, remove func()) {
	e.T.Helper()
	o = &unstructured.Unstructured{Object: content}
	o.SetAPIVersion("keda.sh/v1alpha1")
	o.SetKind(kind)
	o.SetName(name)
	e.Create(o)
	return o, func() {
		e.T.Helper()
		e.Delete(o.DeepCopy(), name)
		e.Await(kind+" is gone", func(g gomega.Gomega) {
			err := e.Client.Get(e.T.Context(), client.ObjectKeyFromObject(o), o.DeepCopy())
			g.Expect(apierrors.IsNotFound(err)).To(gomega.BeTrue(), "%v", err)
		})
	}
}

// kedaJobsStartWarm has a ScaledJob whose queue is the number of pods with a label: one.
func kedaJobsStartWarm(t *testing.T, e *kit.Env, h *v1alpha1.HotStandbyJob) {
	w := e.Witness()
	template := h.Spec.JobTemplate.Template.DeepCopy()
	template.Spec.Containers[0].Args = []string{"-to", w.Address, "by-keda"}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(template)
	if err != nil {
		t.Fatal(err)
	}
	delete(object, "metadata")
	message := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "message", Labels: map[string]string{"queue": "games"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "message", Image: "message"}}},
	}
	lab.OnSimulatedNode(&message.Spec)
	e.Create(message)
	_, remove := scaled(e, "ScaledJob", "matches", map[string]any{
		"metadata": map[string]any{"labels": map[string]any{v1alpha1.LabelPool: h.Name}},
		"spec": map[string]any{
			"pollingInterval": int64(1), "maxReplicaCount": int64(1), "successfulJobsHistoryLimit": int64(10),
			"jobTargetRef": map[string]any{"backoffLimit": int64(0), "template": object},
			"triggers": []any{map[string]any{
				"type": "kubernetes-workload", "metadata": map[string]any{"podSelector": "queue=games", "value": "1"},
			}},
		},
	})
	defer remove()
	var made batchv1.Job
	e.Await("KEDA makes a Job", func(g gomega.Gomega) {
		var list batchv1.JobList
		g.Expect(e.Client.List(t.Context(), &list, client.InNamespace(e.Namespace), client.MatchingLabels{"scaledjob.keda.sh/name": "matches"})).To(gomega.Succeed())
		g.Expect(list.Items).NotTo(gomega.BeEmpty())
		made = list.Items[0]
	})
	e.Delete(&corev1.Pod{}, "message") // or it makes the next one when this one has ended
	awaitJob(e, made.Name, batchv1.JobComplete)
	if got := startsOf(e, made.Name); !slices.Equal(got, []string{v1alpha1.StartWarm}) {
		t.Errorf("Job %s started %v, want warm", made.Name, got)
	}
	if n := len(w.Stamps("by-keda")); n == 0 {
		t.Error("its command didn't run")
	}
}

// kedaDrivesAPool has a ScaledObject set idleTarget: two idle units for each four busy ones.
func kedaDrivesAPool(t *testing.T, e *kit.Env, address, ca string) {
	e.Create(kit.Pool("shift").Idle(3).Max(20).Probe(v1alpha1.BusyProbe{Mode: v1alpha1.BusyByAnnotation}).Obj())
	e.AwaitStatus("shift", 3, 0)
	e.Create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "scaler-ca"}, StringData: map[string]string{"ca.crt": ca}})
	_, removeAuthentication := scaled(e, "TriggerAuthentication", "scaler", map[string]any{"spec": map[string]any{
		"secretTargetRef": []any{map[string]any{"parameter": "caCert", "name": "scaler-ca", "key": "ca.crt"}},
	}})
	defer removeAuthentication()
	o, remove := scaled(e, "ScaledObject", "shift", map[string]any{"spec": map[string]any{
		"scaleTargetRef":  map[string]any{"apiVersion": v1alpha1.SchemeGroupVersion.String(), "kind": "HotStandbyJob", "name": "shift"},
		"pollingInterval": int64(1), "minReplicaCount": int64(1), "maxReplicaCount": int64(6),
		"advanced": map[string]any{"horizontalPodAutoscalerConfig": map[string]any{"behavior": map[string]any{
			"scaleDown": map[string]any{"stabilizationWindowSeconds": int64(0)},
		}}},
		"triggers": []any{map[string]any{
			"type": "external", "authenticationRef": map[string]any{"name": "scaler"},
			"metadata": map[string]any{"scalerAddress": address, "pool": "shift", "metric": "busy", "target": "2"},
		}},
	}})
	defer remove()
	awaitIdleTarget(e, "shift", 1)
	busy := claimUnits(e, "shift", 5)
	awaitIdleTarget(e, "shift", 3) // 5 / 2, rounded up
	e.AwaitStatus("shift", 3, 5)
	now := o.DeepCopy()
	if err := e.Client.Get(t.Context(), client.ObjectKeyFromObject(o), now); err != nil {
		t.Fatal(err)
	}
	if names, _, _ := unstructured.NestedStringSlice(now.Object, "status", "externalMetricNames"); !slices.Equal(names, []string{"s0-hsj-busy-shift"}) {
		t.Errorf("KEDA's metrics are %v", names)
	}
	for _, p := range busy {
		e.Finish(&p, 0)
	}
	awaitIdleTarget(e, "shift", 1)
}
