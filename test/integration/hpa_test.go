// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/onsi/gomega"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/internal/protocol/externalscaler"
	"github.com/paia-tech/hotstandbyjob/internal/protocol/externalscaler/externalscalerconnect"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

const metricsVersion = "external.metrics.k8s.io/v1beta1"

// askScaler asks for a metric of a trigger in the namespace, as KEDA does.
func askScaler(e *kit.Env, address, metric string, metadata map[string]string) (float64, error) {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	c := externalscalerconnect.NewExternalScalerClient(&http.Client{Transport: transport}, "http://"+address, connect.WithGRPC())
	got, err := c.GetMetrics(e.T.Context(), &externalscaler.GetMetricsRequest{
		MetricName: metric, ScaledObjectRef: &externalscaler.ScaledObjectRef{Name: "scale", Namespace: e.Namespace, ScalerMetadata: metadata},
	})
	if err != nil {
		return 0, err
	}
	return got.GetMetricValues()[0].GetMetricValueFloat(), nil
}

// serveExternalMetrics has the lab's API server pass requests for external metrics on to a handler on this machine, until
// the test ends.
func serveExternalMetrics(e *kit.Env, handler http.Handler) {
	e.T.Helper()
	server := httptest.NewTLSServer(handler)
	e.T.Cleanup(server.Close)
	e.AddExternalMetrics(server.Listener.Addr().String())
}

// metricsAdapter is an API of external metrics with one metric, in one namespace.
func metricsAdapter(e *kit.Env, metric string, value func() (float64, error)) http.Handler {
	answer := func(w http.ResponseWriter, body any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(body)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /apis/"+metricsVersion, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, metav1.APIResourceList{
			TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: metricsVersion, APIResources: []metav1.APIResource{},
		})
	})
	mux.HandleFunc("GET /apis/"+metricsVersion+"/namespaces/"+e.Namespace+"/"+metric, func(w http.ResponseWriter, _ *http.Request) {
		v, err := value()
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		answer(w, map[string]any{
			"kind": "ExternalMetricValueList", "apiVersion": metricsVersion, "metadata": map[string]any{},
			"items": []map[string]any{{
				"metricName": metric, "metricLabels": map[string]string{}, "timestamp": metav1.Now(), "value": fmt.Sprintf("%dm", int64(v*1000)),
			}},
		})
	})
	return mux
}

// TestAnAutoscalerDrivesThePool has the cluster's own HorizontalPodAutoscaler set idleTarget by /scale: two idle units for
// each four busy ones, a metric that the operator tells as it tells KEDA.
func TestAnAutoscalerDrivesThePool(t *testing.T) {
	e, address := kit.New(t), kit.FreeLoopback(t)
	e.Operator(func(c *config.Operator) { c.Scaler = config.Scaler{Address: address, Insecure: true} })
	const metric = "hsj-busy-game"
	serveExternalMetrics(e, metricsAdapter(e, metric, func() (float64, error) {
		return askScaler(e, address, metric, map[string]string{"pool": "game", "metric": "busy", "target": "2"})
	}))
	e.Create(kit.Pool("game").Idle(3).Max(20).Probe(v1alpha1.BusyProbe{Mode: v1alpha1.BusyByAnnotation}).Obj())
	e.AwaitStatus("game", 3, 0)
	e.Create(&autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "game"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "HotStandbyJob", Name: "game"},
			MinReplicas:    new(int32(1)), MaxReplicas: 6,
			Metrics: []autoscalingv2.MetricSpec{{
				Type: autoscalingv2.ExternalMetricSourceType,
				External: &autoscalingv2.ExternalMetricSource{
					Metric: autoscalingv2.MetricIdentifier{Name: metric},
					Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: new(resource.MustParse("2"))},
				},
			}},
			Behavior: &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleDown: &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: new(int32(0))}},
		},
	})
	awaitIdleTarget(e, "game", 1)
	e.AwaitStatus("game", 1, 0)

	busy := claimUnits(e, "game", 5)
	awaitIdleTarget(e, "game", 3) // 5 / 2, rounded up
	e.AwaitStatus("game", 3, 5)

	for _, p := range busy {
		e.Finish(&p, 0)
	}
	awaitIdleTarget(e, "game", 1)
	e.AwaitStatus("game", 1, 0)
}

// claimUnits marks so many units of a pool busy, one after the other as they become idle.
func claimUnits(e *kit.Env, pool string, n int) (claimed []corev1.Pod) {
	e.T.Helper()
	e.Await("claims", func(g gomega.Gomega) {
		for _, p := range e.Pods(pool) {
			if len(claimed) == n || p.Annotations[v1alpha1.AnnotationBusy] != "" { // it keeps its label until the operator has seen it
				continue
			}
			if p.Labels[v1alpha1.LabelState] == string(v1alpha1.PodIdle) && e.Claim(&p) {
				claimed = append(claimed, p)
			}
		}
		g.Expect(claimed).To(gomega.HaveLen(n))
	})
	return claimed
}

// awaitIdleTarget waits until an autoscaler has set a pool's idleTarget, and says otherwise what stands in its way.
func awaitIdleTarget(e *kit.Env, pool string, n int32) {
	e.T.Helper()
	began := time.Now()
	e.Await(fmt.Sprintf("idleTarget is %d", n), func(g gomega.Gomega) {
		var list autoscalingv2.HorizontalPodAutoscalerList
		g.Expect(e.Client.List(e.T.Context(), &list, client.InNamespace(e.Namespace))).To(gomega.Succeed())
		var says []string
		for _, a := range list.Items {
			for _, c := range a.Status.Conditions {
				says = append(says, fmt.Sprintf("%s is %s: %s", c.Type, c.Status, c.Message))
			}
		}
		g.Expect(e.Get(pool).Spec.IdleTarget).To(gomega.Equal(n), strings.Join(says, "\n"))
	})
	e.T.Logf("idleTarget was set to %d within %s", n, time.Since(began).Round(time.Second))
}
