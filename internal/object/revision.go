// SPDX-License-Identifier: Apache-2.0

package object

import (
	"encoding/json"
	"hash/fnv"
	"strconv"

	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// Revision is a short hash of what the user gave that ends up in a unit's Job or pod. What this package adds isn't part of
// it, so that a new version of the operator doesn't replace every idle pod of the cluster.
func Revision(h *v1alpha1.HotStandbyJob) string {
	given := struct {
		Template v1alpha1.JobTemplate
		Labels   map[string]string
		Exec     *v1alpha1.ExecProbe
		// Not in the text of pools that don't have them: the revisions of these must stay what they were.
		Report  bool                  `json:",omitempty"`
		Standby *v1alpha1.StandbySpec `json:",omitempty"`
	}{Template: h.Spec.JobTemplate, Exec: Exec(h)}
	if h.Spec.Selector != nil {
		given.Labels = h.Spec.Selector.MatchLabels
	}
	if given.Exec != nil {
		given.Exec.SuccessIsBusy = nil // read by the operator; pods differ by it only in how soon failure is believed
		if given.Exec.Runner == v1alpha1.ExecAPIServer {
			given.Exec = &v1alpha1.ExecProbe{Runner: v1alpha1.ExecAPIServer} // neither is the rest
		}
	}
	given.Report = h.Spec.BusyProbe.Mode == v1alpha1.BusyByReport
	if h.Spec.Assignment == v1alpha1.AssignmentPush {
		standby := Standby(h)
		given.Standby = &v1alpha1.StandbySpec{Container: standby.Container, Warmup: standby.Warmup} // the rest isn't in the pods
	}
	hash := fnv.New64a()
	// Both are total for these types: they have no channels, functions or cycles, and a hash takes any bytes.
	text, _ := json.Marshal(given)
	_, _ = hash.Write(text)
	return rand.SafeEncodeString(strconv.FormatUint(hash.Sum64(), 36))
}
