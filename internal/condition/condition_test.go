// SPDX-License-Identifier: Apache-2.0

package condition

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/internal/pool"
)

// conditions in words.
func words(conditions []metav1.Condition) []string {
	var out []string
	for _, c := range conditions {
		out = append(out, fmt.Sprintf("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message))
	}
	return out
}

const (
	asExpected = "Degraded=False AsExpected: nothing stands in the way"
	below      = "AtCapacity=False BelowCapacity: maxReplicas leaves room for idleTarget idle units"
	stable     = "Progressing=False Stable: there are as many units as there shall be"
)

// TestOf guards against defect 1 and 25: what a pool is doing, and what stands in its way, can be seen and waited for.
func TestOf(t *testing.T) {
	quota := Trouble{ReasonPodsRefused, "exceeded quota: pods"}
	for name, tc := range map[string]struct {
		in   Input
		want []string
	}{
		"a pool that is as it shall be": {
			in:   Input{Plan: pool.Plan{Desired: 25}, Count: pool.Count{Idle: 20, Busy: 5}},
			want: []string{"Ready=True IdleTargetMet: 20 of 20 promised units are idle", stable, asExpected, below},
		},
		"an empty pool of which nothing is promised": {
			want: []string{"Ready=True IdleTargetMet: 0 of 0 promised units are idle", stable, asExpected, below},
		},
		"a new pool": {
			in: Input{Plan: pool.Plan{Desired: 20, Create: 20}},
			want: []string{
				"Ready=False IdleTargetNotMet: 0 of 20 promised units are idle, 0 are starting",
				"Progressing=True Scaling: 20 units are starting, 0 are being retired", asExpected, below,
			},
		},
		"a pool that fills": {
			in: Input{Plan: pool.Plan{Desired: 20}, Count: pool.Count{Starting: 5, Idle: 15}},
			want: []string{
				"Ready=False IdleTargetNotMet: 15 of 20 promised units are idle, 5 are starting",
				"Progressing=True Scaling: 5 units are starting, 0 are being retired", asExpected, below,
			},
		},
		"a pool that shrinks is ready": {
			in: Input{Plan: pool.Plan{Desired: 2, Retire: []string{"a", "b"}}, Count: pool.Count{Idle: 3, Retiring: 1}},
			want: []string{
				"Ready=True IdleTargetMet: 3 of 2 promised units are idle",
				"Progressing=True Scaling: 0 units are starting, 2 are being retired", asExpected, below,
			},
		},
		"more are busy than there shall be": {
			in:   Input{Plan: pool.Plan{Desired: 3}, Count: pool.Count{Busy: 5}},
			want: []string{"Ready=True IdleTargetMet: 0 of 0 promised units are idle", stable, asExpected, below},
		},
		"a rollout": {
			in: Input{Plan: pool.Plan{Desired: 4, Outdated: 3, Retire: []string{"a"}}, Count: pool.Count{Idle: 4}},
			want: []string{
				"Ready=True IdleTargetMet: 4 of 4 promised units are idle",
				"Progressing=True RollingOut: 3 units of an old revision are to be replaced", asExpected, below,
			},
		},
		"maxReplicas is told when it bites (defect 25)": {
			in: Input{Spec: pool.Spec{Max: 10, IdleTarget: 5}, Plan: pool.Plan{Desired: 10, Limited: true}, Count: pool.Count{Idle: 2, Busy: 7, WasBusy: 1}},
			want: []string{
				"Ready=True IdleTargetMet: 2 of 2 promised units are idle", stable, asExpected,
				"AtCapacity=True MaxReplicas: maxReplicas 10 leaves no room for 5 idle units beside 8 busy ones; raise it or lower idleTarget",
			},
		},
		"a trouble is why it isn't ready (defect 3: a full quota)": {
			in: Input{Plan: pool.Plan{Desired: 20}, Count: pool.Count{Idle: 5, Starting: 15}, Trouble: quota},
			want: []string{
				"Ready=False PodsRefused: 5 of 20 promised units are idle: exceeded quota: pods",
				"Progressing=True Scaling: 15 units are starting, 0 are being retired",
				"Degraded=True PodsRefused: exceeded quota: pods", below,
			},
		},
		"a trouble of a pool that is ready nonetheless": {
			in:   Input{Plan: pool.Plan{Desired: 5}, Count: pool.Count{Idle: 5}, Trouble: quota},
			want: []string{"Ready=True IdleTargetMet: 5 of 5 promised units are idle", stable, "Degraded=True PodsRefused: exceeded quota: pods", below},
		},
		"units that crash (defect 8)": {
			in: Input{
				Plan:    pool.Plan{Desired: 2, BackoffUntil: time.Unix(1, 0)},
				Trouble: Trouble{ReasonUnitsFailing, "exit code 3"},
			},
			want: []string{
				"Ready=False UnitsFailing: 0 of 2 promised units are idle: exit code 3",
				"Progressing=False BackOff: standby units failed; another is tried after a delay, which grows from 10 s to 5 min",
				"Degraded=True UnitsFailing: exit code 3", below,
			},
		},
		"a pause outdoes what would be done": {
			in: Input{Spec: pool.Spec{Paused: true}, Suspended: true, Plan: pool.Plan{Desired: 5, Outdated: 1}, Count: pool.Count{Idle: 5}},
			want: []string{
				"Ready=True IdleTargetMet: 5 of 5 promised units are idle",
				"Progressing=False Paused: spec.paused is true: units are neither created nor retired", asExpected, below,
			},
		},
		"Jobs that are suspended (defect 3)": {
			in: Input{Suspended: true, Plan: pool.Plan{Desired: 5}, Count: pool.Count{Starting: 5}},
			want: []string{
				"Ready=False IdleTargetNotMet: 0 of 5 promised units are idle, 5 are starting",
				"Progressing=False Suspended: jobTemplate.suspend is true: pods are started when it is removed, or when the Jobs are resumed",
				asExpected, below,
			},
		},
		"units that can't be asked and were busy count as busy (defect 18)": {
			in:   Input{Plan: pool.Plan{Desired: 6}, Count: pool.Count{Idle: 4, Unknown: 2, WasBusy: 2}},
			want: []string{"Ready=True IdleTargetMet: 4 of 4 promised units are idle", stable, asExpected, below},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, words(Of(tc.in))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
