// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/condition"
	"github.com/paia-tech/hotstandbyjob/internal/object"
	"github.com/paia-tech/hotstandbyjob/internal/pool"
	"github.com/paia-tech/hotstandbyjob/internal/unit"
)

func TestMemory(t *testing.T) {
	var m memories
	h := demo(nil)
	first := m.of(h)
	if m.of(h) != first {
		t.Error("a pool that was seen before is not remembered")
	}
	again := h.DeepCopy()
	again.UID = "made again"
	second := m.of(again)
	if second == first {
		t.Error("a pool that was deleted and made again has the memory of the old one (defect 22)")
	}
	other := h.DeepCopy()
	other.Namespace = "others"
	if m.of(other) == second || m.of(again) != second {
		t.Error("pools of the same name in two namespaces share a memory")
	}
	m.forget(client.ObjectKeyFromObject(again))
	if m.of(again) == second {
		t.Error("a pool that was forgotten is remembered")
	}
}

// TestMemoryAfterARestart: what the status says of failures is taken over, so that a restart doesn't end their delay.
func TestMemoryAfterARestart(t *testing.T) {
	failed := metav1.NewTime(noon)
	for name, tc := range map[string]struct {
		status v1alpha1.HotStandbyJobStatus
		want   pool.Failures
	}{
		"a new pool":              {},
		"a pool without failures": {v1alpha1.HotStandbyJobStatus{CurrentRevision: "r1"}, pool.Failures{Revision: "r1"}},
		"a pool with failures: all units wait": {
			v1alpha1.HotStandbyJobStatus{CurrentRevision: "r1", ConsecutiveFailures: 3, LastFailureTime: &failed},
			pool.Failures{Revision: "r1", Rounds: 3, Last: noon, Held: math.MaxInt32},
		},
		"a count without a time says nothing": {v1alpha1.HotStandbyJobStatus{ConsecutiveFailures: 3}, pool.Failures{}},
	} {
		t.Run(name, func(t *testing.T) {
			var m memories
			h := demo(nil)
			h.Status = tc.status
			if diff := cmp.Diff(tc.want, m.of(h).decided.Failures); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for name, tc := range map[string]struct {
		unsure, seen, want, wantUnsure []string
		n                              int
	}{
		"new ones":                             {n: 2, want: []string{"demo-w-1", "demo-w-2"}},
		"an unsure one first":                  {n: 2, unsure: []string{"demo-w-x"}, want: []string{"demo-w-x", "demo-w-1"}},
		"an unsure one that was seen is made":  {n: 1, unsure: []string{"demo-w-x"}, seen: []string{"demo-w-x"}, want: []string{"demo-w-1"}},
		"those that aren't needed are kept":    {n: 1, unsure: []string{"demo-w-x", "demo-w-y"}, want: []string{"demo-w-x"}, wantUnsure: []string{"demo-w-y"}},
		"the middle one of three was seen":     {n: 2, unsure: []string{"demo-w-x", "demo-w-y", "demo-w-z"}, seen: []string{"demo-w-y"}, want: []string{"demo-w-x", "demo-w-z"}},
		"as many as there are and no new ones": {n: 2, unsure: []string{"demo-w-x", "demo-w-y"}, want: []string{"demo-w-x", "demo-w-y"}},
	} {
		t.Run(name, func(t *testing.T) {
			next := 0
			r := &Reconciler{Suffix: func() string { next++; return fmt.Sprint(next) }}
			s := &snapshot{pool: demo(nil), memory: &memory{unsure: tc.unsure}}
			for _, seen := range tc.seen {
				s.jobs = append(s.jobs, &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: seen}})
			}
			if diff := cmp.Diff(tc.want, r.names(s, tc.n)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(s.memory.unsure) != len(tc.wantUnsure) || len(tc.wantUnsure) > 0 && s.memory.unsure[0] != tc.wantUnsure[0] {
				t.Errorf("unsure are %v, want %v", s.memory.unsure, tc.wantUnsure)
			}
		})
	}
}

func TestSpecOf(t *testing.T) {
	plain := func() pool.Spec {
		return pool.Spec{
			Revision: object.Revision(demo(nil)), IdleTarget: 2, Max: math.MaxInt, MaxUnavailable: 1, KeepFailed: 1, KeepSucceeded: 3,
		}
	}
	for name, tc := range map[string]struct {
		change func(*v1alpha1.HotStandbyJobSpec)
		memory memory
		want   func(*pool.Spec)
	}{
		"defaults that the server has not written": {
			change: func(s *v1alpha1.HotStandbyJobSpec) { s.ScaleDownDelaySeconds = nil },
			want:   func(s *pool.Spec) { s.ScaleDownDelay = 30 * time.Second },
		},
		"everything is given": {
			change: func(s *v1alpha1.HotStandbyJobSpec) {
				s.MinReplicas, s.MaxReplicas, s.Paused = new(int32(3)), new(int32(9)), true
				s.FailedUnitsHistoryLimit, s.SucceededUnitsHistoryLimit = new(int32(0)), new(int32(0))
			},
			want: func(s *pool.Spec) { s.Min, s.Max, s.Paused, s.KeepFailed, s.KeepSucceeded = 3, 9, true, 0, 0 },
		},
		"maxReplicas 0 is a bound": {
			change: func(s *v1alpha1.HotStandbyJobSpec) { s.MaxReplicas = new(int32(0)) },
			want:   func(s *pool.Spec) { s.Max = 0 },
		},
		"a unit that ended well is left to its TTL": {
			change: func(s *v1alpha1.HotStandbyJobSpec) { s.SucceededUnitsHistoryLimit = new(int32(1)) },
			want:   func(s *pool.Spec) { s.KeepSucceeded = 1 },
		},
		"a refusal": {
			memory: memory{admission: admission{refusal: condition.Trouble{Reason: condition.ReasonRefused}}},
			want:   func(s *pool.Spec) { s.Refused = true },
		},
		"a full quota is none": {
			memory: memory{admission: admission{trouble: condition.Trouble{Reason: condition.ReasonPodsRefused}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := plain()
			if tc.want != nil {
				tc.want(&want)
			}
			if diff := cmp.Diff(want, seen(demo(tc.change), &tc.memory).spec()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// seen is what a pass has seen of a pool before it decides.
func seen(h *v1alpha1.HotStandbyJob, m *memory) *snapshot {
	return &snapshot{pool: h, memory: m, view: unit.View{Revision: object.Revision(h)}}
}

func TestSucceededUnitsAreLeftToTheirTTL(t *testing.T) {
	ttl := func(s *v1alpha1.HotStandbyJobSpec) { s.JobTemplate.TTLSecondsAfterFinished = new(int32(60)) }
	if got := seen(demo(ttl), &memory{}).spec().KeepSucceeded; got != math.MaxInt {
		t.Errorf("%d are kept beside the TTL", got)
	}
	both := func(s *v1alpha1.HotStandbyJobSpec) { ttl(s); shareJob(s) }
	if got := seen(demo(both), &memory{}).spec().KeepSucceeded; got != 3 {
		t.Errorf("%d are kept in a shared Job, whose TTL never begins", got)
	}
}

func TestMaxUnavailable(t *testing.T) {
	for name, tc := range map[string]struct {
		given      *intstr.IntOrString
		idleTarget int32
		onDelete   bool
		want       int
	}{
		"a quarter where nothing is said": {idleTarget: 20, want: 5},
		"rounded down":                    {idleTarget: 7, want: 1},
		"but at least 1":                  {idleTarget: 2, want: 1},
		"1 where nothing is promised":     {idleTarget: 0, want: 1},
		"a number":                        {given: new(intstr.FromInt32(3)), idleTarget: 20, want: 3},
		"a percentage":                    {given: new(intstr.FromString("50%")), idleTarget: 20, want: 10},
		"all":                             {given: new(intstr.FromString("100%")), idleTarget: 20, want: 20},
		"nonsense is 1":                   {given: new(intstr.FromString("half")), idleTarget: 20, want: 1},
		"none with OnDelete":              {given: new(intstr.FromInt32(3)), idleTarget: 20, onDelete: true, want: 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := demo(func(s *v1alpha1.HotStandbyJobSpec) {
				s.IdleTarget = tc.idleTarget
				s.UpdateStrategy.RollingUpdate = &v1alpha1.RollingUpdate{MaxUnavailable: tc.given}
				if tc.onDelete {
					s.UpdateStrategy.Type = v1alpha1.UpdateOnDelete
				}
			})
			if got := maxUnavailable(h); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}
