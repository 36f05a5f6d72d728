// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

func aPool(change func(*v1alpha1.HotStandbyJob)) *v1alpha1.HotStandbyJob {
	h := &v1alpha1.HotStandbyJob{
		ObjectMeta: metav1.ObjectMeta{Name: "match", ResourceVersion: "7", Annotations: map[string]string{}},
		Spec:       v1alpha1.HotStandbyJobSpec{IdleTarget: 3},
	}
	change(h)
	return h
}

func patchOf(t *testing.T, c *change, err error) string {
	t.Helper()
	if err != nil {
		return err.Error()
	}
	if c == nil {
		return ""
	}
	patch, err := c.patch()
	if err != nil {
		t.Fatal(err)
	}
	return string(patch)
}

func TestDrain(t *testing.T) {
	const version = `"resourceVersion":"7"`
	for name, tc := range map[string]struct {
		change func(*v1alpha1.HotStandbyJob)
		want   string
	}{
		"a pool": {
			func(*v1alpha1.HotStandbyJob) {},
			`{"metadata":{` + version + `,"annotations":{"hsj.paia.tech/drained":"{\"idleTarget\":3}"}},"spec":{"idleTarget":0}}`,
		},
		"one with a lower bound": {
			func(h *v1alpha1.HotStandbyJob) { h.Spec.MinReplicas = new(int32(2)) },
			`{"metadata":{` + version + `,"annotations":{"hsj.paia.tech/drained":"{\"idleTarget\":3,\"minReplicas\":2}"}},"spec":{"idleTarget":0,"minReplicas":0}}`,
		},
		"one that was drained, and then scaled": {
			func(h *v1alpha1.HotStandbyJob) { h.Annotations[v1alpha1.AnnotationDrained] = `{"idleTarget":9}` },
			`{"metadata":{` + version + `},"spec":{"idleTarget":0}}`,
		},
		"one with no idle target": {func(h *v1alpha1.HotStandbyJob) { h.Spec.IdleTarget = 0 }, ""},
		"one that is paused":      {func(h *v1alpha1.HotStandbyJob) { h.Spec.Paused = true }, "kubectl hsj resume match"},
	} {
		c, err := drain(aPool(tc.change))
		if got := patchOf(t, c, err); got != tc.want && (err == nil || !strings.Contains(got, tc.want)) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestResume(t *testing.T) {
	drained := func(text string) func(*v1alpha1.HotStandbyJob) {
		return func(h *v1alpha1.HotStandbyJob) {
			h.Spec.IdleTarget, h.Annotations[v1alpha1.AnnotationDrained] = 0, text
		}
	}
	for name, tc := range map[string]struct {
		change     func(*v1alpha1.HotStandbyJob)
		want, said string
	}{
		"nothing to resume": {func(*v1alpha1.HotStandbyJob) {}, "", ""},
		"a pause":           {func(h *v1alpha1.HotStandbyJob) { h.Spec.Paused = true }, `{"metadata":{"resourceVersion":"7"},"spec":{"paused":false}}`, "resumed"},
		"a drain": {
			drained(`{"idleTarget":3}`),
			`{"metadata":{"resourceVersion":"7","annotations":{"hsj.paia.tech/drained":null}},"spec":{"idleTarget":3}}`, "resumed with idleTarget 3",
		},
		"a drain with a lower bound": {
			func(h *v1alpha1.HotStandbyJob) {
				drained(`{"idleTarget":3,"minReplicas":2}`)(h)
				h.Spec.MinReplicas = new(int32(0))
			},
			`{"metadata":{"resourceVersion":"7","annotations":{"hsj.paia.tech/drained":null}},"spec":{"idleTarget":3,"minReplicas":2}}`, "resumed with idleTarget 3",
		},
		"a drain that was scaled since": {
			func(h *v1alpha1.HotStandbyJob) { h.Annotations[v1alpha1.AnnotationDrained] = `{"idleTarget":9}` },
			`{"metadata":{"resourceVersion":"7","annotations":{"hsj.paia.tech/drained":null}},"spec":{}}`, "resumed",
		},
		"what isn't ours": {drained("much"), "isn't what drain writes", ""},
	} {
		c, said, err := resume(aPool(tc.change))
		if got := patchOf(t, c, err); (got != tc.want && (err == nil || !strings.Contains(got, tc.want))) || said != tc.said {
			t.Errorf("%s: %s, %q; want %s, %q", name, got, said, tc.want, tc.said)
		}
	}
}

func TestPause(t *testing.T) {
	if c := pause(aPool(func(h *v1alpha1.HotStandbyJob) { h.Spec.Paused = true })); c != nil {
		t.Errorf("a paused pool is changed: %+v", c)
	}
	if got := patchOf(t, pause(aPool(func(*v1alpha1.HotStandbyJob) {})), nil); !strings.Contains(got, `"paused":true`) {
		t.Errorf("the change is %s", got)
	}
}
