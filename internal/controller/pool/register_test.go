// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// TestPodsThatStartALook holds that a pool is looked at for what changes it, and not for each Job of it that is removed.
func TestPodsThatStartALook(t *testing.T) {
	idle := &corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodRunning}}
	busy := idle.DeepCopy()
	busy.Labels = map[string]string{v1alpha1.LabelLaunch: "job"}
	over := busy.DeepCopy()
	over.Status.Phase = corev1.PodSucceeded
	going := over.DeepCopy()
	going.DeletionTimestamp = &metav1.Time{}
	p := unspent()
	for name, tc := range map[string]struct {
		got, want bool
	}{
		"an idle pod is there":    {p.Create(event.CreateEvent{Object: idle}), true},
		"it is claimed":           {p.Update(event.UpdateEvent{ObjectOld: idle, ObjectNew: busy}), true},
		"it has ended":            {p.Update(event.UpdateEvent{ObjectOld: busy, ObjectNew: over}), true},
		"it is being deleted":     {p.Update(event.UpdateEvent{ObjectOld: over, ObjectNew: going}), false},
		"it is gone":              {p.Delete(event.DeleteEvent{Object: going}), false},
		"it is gone while it ran": {p.Delete(event.DeleteEvent{Object: busy}), true},
		"one that had ended":      {p.Create(event.CreateEvent{Object: over}), false},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: looked at is %v, want %v", name, tc.got, tc.want)
		}
	}
}
