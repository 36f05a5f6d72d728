// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"
)

const (
	operatorNamespace = "hotstandbyjob-system"
	operatorName      = "hotstandbyjob-operator"
	operatorLabel     = "app.kubernetes.io/name=" + operatorName
	operatorTime      = 2 * time.Minute
	manifests         = "config/default"
)

// Deploy deploys the operator and returns when it is ready. Where it is installed already, it is used as it is.
func (c *Cluster) Deploy(ctx context.Context) error {
	if c.Lab != nil {
		if err := c.loadOperator(ctx); err != nil {
			return err
		}
		c.say("$ kubectl apply -k %s", manifests)
		if _, err := c.Kubectl(ctx, "apply", "-k", manifests); err != nil {
			return err
		}
		return c.awaitOperator(ctx)
	}
	if c.present {
		c.say("HotStandbyJob is installed in this cluster: the demo uses it as it is, and leaves it there")
		return nil
	}
	rendered, err := c.render(ctx)
	if err != nil {
		return err
	}
	c.undo = append(c.undo, func(ctx context.Context) error {
		_, err := c.kubectlWith(ctx, rendered, "delete", "--ignore-not-found", "-f", "-")
		return err
	})
	c.say("$ kubectl apply -k %s, with the image %s", manifests, c.operator)
	if _, err := c.kubectlWith(ctx, rendered, "apply", "-f", "-"); err != nil {
		return err
	}
	return c.awaitOperator(ctx)
}

// render is what apply -k would apply, with the operator's image by its name in this cluster.
func (c *Cluster) render(ctx context.Context) ([]byte, error) {
	out, err := c.Kubectl(ctx, "kustomize", manifests)
	if err != nil {
		return nil, err
	}
	var rendered bytes.Buffer
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(out), 1<<12)
	for {
		var o map[string]any
		if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
			return rendered.Bytes(), nil
		} else if err != nil {
			return nil, fmt.Errorf("read %s: %w", manifests, err)
		}
		if o["kind"] == "Deployment" {
			setImage(o, c.operator)
		}
		raw, err := sigsyaml.Marshal(o)
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", manifests, err)
		}
		rendered.WriteString("---\n")
		rendered.Write(raw)
	}
}

// setImage sets the image of all containers of a workload.
func setImage(o map[string]any, image string) {
	at := o
	for _, key := range []string{"spec", "template", "spec"} {
		at, _ = at[key].(map[string]any)
	}
	containers, _ := at["containers"].([]any)
	for _, container := range containers {
		if fields, ok := container.(map[string]any); ok {
			fields["image"] = image
		}
	}
}

// awaitOperator returns when the operator's pod is ready, or as soon as it is clear that it won't be.
func (c *Cluster) awaitOperator(ctx context.Context) error {
	started := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, operatorTime, fmt.Errorf("it is not ready after %s", operatorTime))
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		pods, err := c.Client.CoreV1().Pods(operatorNamespace).List(ctx, metav1.ListOptions{LabelSelector: operatorLabel})
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("wait for the operator: %w", err)
		}
		for i := range pods.Items {
			if IsReady(&pods.Items[i]) {
				c.say("the operator's pod is ready after %s", time.Since(started).Round(100*time.Millisecond))
				return nil
			}
			if reason := stuck(&pods.Items[i]); reason != "" {
				return fmt.Errorf("the operator's pod does not come up: %s", reason)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the operator: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// IsReady says whether a pod is ready.
func IsReady(p *corev1.Pod) bool {
	for _, condition := range p.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// stuck says why a pod won't start by waiting; "" if it may.
func stuck(p *corev1.Pod) string {
	for _, s := range p.Status.ContainerStatuses {
		w := s.State.Waiting
		if w == nil {
			continue
		}
		switch w.Reason {
		case "CrashLoopBackOff", "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName",
			"CreateContainerConfigError", "CreateContainerError", "RunContainerError":
			return w.Reason + ": " + w.Message
		}
	}
	return ""
}
