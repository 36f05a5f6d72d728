// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	tailLines  = int64(30)
	tailEvents = 30
)

// Diagnose writes what helps to find out why something did not work: the operator's pods with their logs, and the events
// of these namespaces.
func (c *Cluster) Diagnose(ctx context.Context, out io.Writer, namespaces ...string) {
	if c.Client == nil {
		return
	}
	write := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) }
	pods, err := c.Client.CoreV1().Pods(operatorNamespace).List(ctx, metav1.ListOptions{LabelSelector: operatorLabel})
	if err != nil {
		write("cannot look at the operator's pods: %v", err)
		return
	}
	if len(pods.Items) == 0 {
		write("there is no pod of the operator in namespace %s", operatorNamespace)
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		write("pod %s: %s %s %s", p.Name, p.Status.Phase, p.Status.Message, stuck(p))
		c.logs(ctx, p, write)
	}
	for _, namespace := range append([]string{operatorNamespace}, namespaces...) {
		c.events(ctx, namespace, write)
	}
}

// logs writes the last lines of a pod's log, and of the container's before that if there was one.
func (c *Cluster) logs(ctx context.Context, p *corev1.Pod, write func(string, ...any)) {
	restarted := slices.ContainsFunc(p.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return s.RestartCount > 0 })
	for _, previous := range []bool{true, false} {
		if previous && !restarted {
			continue
		}
		o := &corev1.PodLogOptions{TailLines: new(tailLines), Previous: previous}
		raw, err := c.Client.CoreV1().Pods(p.Namespace).GetLogs(p.Name, o).DoRaw(ctx)
		if err != nil {
			write("  no log: %v", err)
			continue
		}
		for line := range strings.Lines(string(raw)) {
			write("  | %s", strings.TrimRight(line, "\n"))
		}
	}
}

func (c *Cluster) events(ctx context.Context, namespace string, write func(string, ...any)) {
	list, err := c.Client.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		write("cannot look at the events of namespace %s: %v", namespace, err)
		return
	}
	events := slices.DeleteFunc(list.Items, func(e corev1.Event) bool {
		// A probe that fails is how an idle pod with mode exec looks.
		return namespace != operatorNamespace && (e.Type != corev1.EventTypeWarning || e.Reason == "Unhealthy")
	})
	slices.SortFunc(events, func(a, b corev1.Event) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	write("events in namespace %s:", namespace)
	for _, e := range events[max(0, len(events)-tailEvents):] {
		write("  %s %s/%s %s: %s", e.Type, strings.ToLower(e.InvolvedObject.Kind), e.InvolvedObject.Name, e.Reason, strings.TrimSpace(e.Message))
	}
}
