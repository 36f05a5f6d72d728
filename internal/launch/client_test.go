// SPDX-License-Identifier: Apache-2.0

package launch

import (
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"
)

// The finalizer of one pod is taken off by two workers of the embedded controller, of which one reads an old cache.
func TestAPatchIsRepeatedOnlyOnceTheCacheShowsIt(t *testing.T) {
	r := newRig(t, Pool{Push: true}, 0)
	version := 10
	r.client.PrependReactor("patch", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		version++
		return true, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "pod", UID: "uid", ResourceVersion: strconv.Itoa(version)}}, nil
	})
	cached := func(version, uid string) {
		t.Helper()
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "pod", UID: types.UID(uid), ResourceVersion: version}}
		if err := r.pods.Informer().GetStore().Add(pod); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		name, version, uid, patch string
		sent                      bool
	}{
		{"the first", "10", "uid", "a", true}, // the server has version 11 then
		{"the same again", "10", "uid", "a", false},
		{"another", "10", "uid", "b", true}, // 12
		{"the first, once the cache shows it", "11", "uid", "a", true},
		{"the same, of another pod by that name", "10", "other", "a", true},
		{"the same, of a pod whose version says nothing", "", "uid", "a", true},
	} {
		cached(step.version, step.uid)
		r.client.ClearActions()
		_, err := r.Launcher.client.CoreV1().Pods("ns").Patch(t.Context(), "pod", types.StrategicMergePatchType, []byte(step.patch), metav1.PatchOptions{})
		if sent := len(r.client.Actions()) > 0; err != nil || sent != step.sent {
			t.Errorf("%s: sent %v, want %v; error %v", step.name, sent, step.sent, err)
		}
	}
}
