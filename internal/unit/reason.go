// SPDX-License-Identifier: Apache-2.0

package unit

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// whyFailed quotes what is known of a failed pod: the container that failed, its exit code and its last words.
func whyFailed(p *corev1.Pod) string {
	for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for _, c := range list {
			t := c.State.Terminated
			if t == nil || t.ExitCode == 0 {
				continue
			}
			text := fmt.Sprintf("container %s: %s, exit code %d", c.Name, t.Reason, t.ExitCode)
			if t.Message != "" {
				text += ": " + lastLines(t.Message)
			}
			return text
		}
	}
	return strings.Trim(p.Status.Reason+": "+p.Status.Message, ": ")
}

// lastLines are the last lines of a termination message, short enough for a condition.
func lastLines(text string) string {
	const most = 300
	text = strings.TrimSpace(text)
	if len(text) > most {
		text = "…" + strings.ToValidUTF8(text[len(text)-most:], "")
	}
	return text
}

// whyStuck says what keeps a pod from starting, if anything but time does.
func whyStuck(p *corev1.Pod) string {
	for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for _, c := range list {
			w := c.State.Waiting
			if w == nil {
				continue
			}
			switch w.Reason {
			case "ErrImagePull", "ImagePullBackOff": // the kubelet alternates between these two: one text for both
				return fmt.Sprintf("container %s: image %s can't be pulled", c.Name, c.Image)
			case "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff":
				return fmt.Sprintf("container %s: %s: %s", c.Name, w.Reason, w.Message)
			}
		}
	}
	if c := condition(p, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
		return "no node takes it: " + c.Message
	}
	return ""
}
