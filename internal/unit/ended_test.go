// SPDX-License-Identifier: Apache-2.0

package unit

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/object"
	"github.com/paia-tech/hotstandbyjob/internal/pool"
)

// The kubelet reports that containers have ended before it reports that their pod has.
func TestPodsWhoseContainersHaveAllEnded(t *testing.T) {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	ended := func(code int32) corev1.ContainerStatus {
		return corev1.ContainerStatus{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: code, StartedAt: metav1.NewTime(noon.Add(-time.Minute)), FinishedAt: metav1.NewTime(noon),
		}}}
	}
	runs := corev1.ContainerStatus{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
	for name, tc := range map[string]struct {
		restart    corev1.RestartPolicy
		containers []corev1.ContainerStatus
		want       pool.Phase
	}{
		"all well: it has succeeded":                  {corev1.RestartPolicyNever, []corev1.ContainerStatus{ended(0), ended(0)}, pool.Succeeded},
		"one badly: it has failed":                    {corev1.RestartPolicyNever, []corev1.ContainerStatus{ended(0), ended(3)}, pool.Failed},
		"one still runs: it isn't ready":              {corev1.RestartPolicyNever, []corev1.ContainerStatus{ended(0), runs}, pool.Unknown},
		"one isn't reported: it isn't ready":          {corev1.RestartPolicyNever, []corev1.ContainerStatus{ended(0)}, pool.Unknown},
		"they are started again: it isn't ready":      {corev1.RestartPolicyOnFailure, []corev1.ContainerStatus{ended(1), ended(1)}, pool.Unknown},
		"nothing is reported of them: it isn't ready": {corev1.RestartPolicyNever, nil, pool.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			p := &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{v1alpha1.LabelState: string(v1alpha1.PodIdle)}},
				Spec:       corev1.PodSpec{RestartPolicy: tc.restart, Containers: make([]corev1.Container, 2)},
				Status:     corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: tc.containers},
			}
			if got := (View{Now: noon}).pod(p).phase; got != tc.want {
				t.Errorf("its phase is %d, want %d", got, tc.want)
			}
		})
	}
}

func TestIdlePodsOfABusyUnitMayNotBeMoved(t *testing.T) {
	idle := func(name string, annotations map[string]string) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Name: name, Labels: map[string]string{v1alpha1.LabelState: string(v1alpha1.PodIdle)}, Annotations: annotations,
			},
			Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
		}
	}
	busy := map[string]string{v1alpha1.AnnotationBusy: "true", object.SafeToEvict: "true"}
	may, mayNot := map[string]string{object.SafeToEvict: "true"}, map[string]string{object.SafeToEvict: "false"}
	for name, tc := range map[string]struct {
		pods []*corev1.Pod
		want []Label
	}{
		"one turns busy: neither may be moved":     {[]*corev1.Pod{idle("a", busy), idle("b", may)}, []Label{{State: v1alpha1.PodBusy}, {State: v1alpha1.PodIdle}}},
		"none is busy any more: both may be moved": {[]*corev1.Pod{idle("a", mayNot), idle("b", mayNot)}, []Label{{State: v1alpha1.PodIdle, Movable: true}, {State: v1alpha1.PodIdle, Movable: true}}},
		"nothing has changed":                      {[]*corev1.Pod{idle("a", may), idle("b", may)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := (View{ManagesEviction: true}).OfJob(&batchv1.Job{}, tc.pods, 2).Labels
			for i := range got {
				got[i].Pod = nil
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
		})
	}
}
