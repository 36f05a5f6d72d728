// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/lab"
)

// workerPort is where the demo worker takes orders.
const workerPort = "8080"

// Simulate makes a pod a simulated one where there are such: in a lab. In any other cluster it stays as it is.
func (c *Cluster) Simulate(spec *corev1.PodSpec) {
	if c.Lab != nil {
		lab.OnSimulatedNode(spec)
	}
}

// EndWork tells the worker in a pod that may be simulated to end well.
func (c *Cluster) EndWork(ctx context.Context, pod types.NamespacedName) error {
	pods := c.Client.CoreV1().Pods(pod.Namespace)
	if c.Lab == nil {
		err := c.Client.CoreV1().RESTClient().Post().Namespace(pod.Namespace).Resource("pods").Name(pod.Name+":"+workerPort).
			SubResource("proxy").Suffix("exit").Param("code", "0").Do(ctx).Error()
		if err != nil {
			return fmt.Errorf("tell the worker in pod %s to end: %w", pod.Name, err)
		}
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{lab.ExitAnnotation: "0"}}})
	if err != nil {
		return fmt.Errorf("describe the end of pod %s: %w", pod.Name, err)
	}
	if _, err := pods.Patch(ctx, pod.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("end simulated pod %s: %w", pod.Name, err)
	}
	return nil
}
