// SPDX-License-Identifier: Apache-2.0

package object

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

func TestPatches(t *testing.T) {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		got  []byte
		want string
	}{
		"the fence tests the version before it writes": {
			FencePatch("41"),
			`[{"op":"test","path":"/metadata/resourceVersion","value":"41"},` +
				`{"op":"add","path":"/metadata/labels/hsj.paia.tech~1state","value":"retiring"}]`,
		},
		"a retired pod says so in a condition, if it is as it was": {
			RetiredPatch("42", noon),
			`{"metadata":{"resourceVersion":"42"},"status":{"conditions":[{"type":"hsj.paia.tech/Retired","status":"True",` +
				`"lastProbeTime":null,"lastTransitionTime":"2026-01-02T12:00:00Z","reason":"Retired","message":"an idle pod too many"}]}}`,
		},
		"an idle pod may be moved": {
			StatePatch("u1", v1alpha1.PodIdle, true, true),
			`{"metadata":{"annotations":{"cluster-autoscaler.kubernetes.io/safe-to-evict":"true","karpenter.sh/do-not-disrupt":null},` +
				`"labels":{"hsj.paia.tech/state":"idle"},"uid":"u1"}}`,
		},
		"a busy pod must not": {
			StatePatch("u1", v1alpha1.PodBusy, false, true),
			`{"metadata":{"annotations":{"cluster-autoscaler.kubernetes.io/safe-to-evict":"false","karpenter.sh/do-not-disrupt":"true"},` +
				`"labels":{"hsj.paia.tech/state":"busy"},"uid":"u1"}}`,
		},
		"annotations that the user gave are left alone": {
			StatePatch("u1", v1alpha1.PodBusy, false, false),
			`{"metadata":{"labels":{"hsj.paia.tech/state":"busy"},"uid":"u1"}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, string(tc.got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
