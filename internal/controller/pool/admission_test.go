// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/paia-tech/hotstandbyjob/internal/pool"
	"github.com/paia-tech/hotstandbyjob/internal/unit"
)

func TestAdmissionBacksOff(t *testing.T) {
	var a admission
	var got []time.Duration
	for range 8 {
		a.again(noon)
		got = append(got, a.next.Sub(noon))
	}
	want := []time.Duration{
		10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second,
		5 * time.Minute, 5 * time.Minute, 5 * time.Minute,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("delays (-want +got):\n%s", diff)
	}
	a.tries = 1_000_000 // a number whose shift would be 0
	if a.again(noon); a.next.Sub(noon) != 5*time.Minute {
		t.Errorf("after a million tries the delay is %s", a.next.Sub(noon))
	}
}

func TestRefused(t *testing.T) {
	kind := schema.GroupKind{Group: "batch", Kind: "Job"}
	for name, tc := range map[string]struct {
		err            error
		refused, quota bool
	}{
		"forbidden":                {apierrors.NewForbidden(jobsKind, "a", errors.New("by policy")), true, false},
		"a full quota":             {apierrors.NewForbidden(podsKind, "a", errors.New("exceeded quota: few")), true, true},
		"invalid":                  {apierrors.NewInvalid(kind, "a", field.ErrorList{field.Invalid(field.NewPath("spec"), 1, "no")}), true, false},
		"bad request":              {apierrors.NewBadRequest("by a webhook"), true, false},
		"no such namespace":        {apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "games"), true, false},
		"wrapped":                  {fmt.Errorf("create: %w", apierrors.NewBadRequest("no")), true, false},
		"a conflict":               {apierrors.NewConflict(jobsKind, "a", errors.New("changed")), false, false},
		"a name that is taken":     {apierrors.NewAlreadyExists(jobsKind, "a"), false, false},
		"a server in trouble":      {apierrors.NewInternalError(errors.New("no leader")), false, false},
		"a server that is busy":    {apierrors.NewTooManyRequests("later", 1), false, false},
		"a server's timeout":       {apierrors.NewServerTimeout(jobsKind, "create", 1), false, false},
		"our own timeout":          {context.DeadlineExceeded, false, false},
		"the word quota by itself": {errors.New("exceeded quota"), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := refused(tc.err); got != tc.refused {
				t.Errorf("refused: %v, want %v", got, tc.refused)
			}
			if got := isQuota(tc.err); got != tc.quota {
				t.Errorf("a full quota: %v, want %v", got, tc.quota)
			}
		})
	}
}

// TestRefusalText holds that a condition's message is the same for every name that was tried.
func TestRefusalText(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"the name is left out": {
			apierrors.NewForbidden(podsKind, "demo-w-7x7x7", errors.New("exceeded quota: few")),
			`pods "…" is forbidden: exceeded quota: few`,
		},
		"wrapped": {
			fmt.Errorf("create: %w", apierrors.NewForbidden(podsKind, "demo-w-7x7x7", errors.New("no"))),
			`create: pods "…" is forbidden: no`,
		},
		"a status without a name":    {apierrors.NewForbidden(podsKind, "", errors.New("no")), "pods is forbidden: no"},
		"a status without details":   {apierrors.NewBadRequest("by a webhook"), "by a webhook"},
		"an error that is no status": {errors.New("busyProbe.exec.container: none"), "busyProbe.exec.container: none"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := refusalText(tc.err); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestWithoutPods(t *testing.T) {
	u := func(name string, phase pool.Phase, noPods, suspended bool) unit.Unit {
		return unit.Unit{
			Unit: pool.Unit{Name: name, Phase: phase}, NoPods: noPods,
			Job: &batchv1.Job{Spec: batchv1.JobSpec{Suspend: &suspended}},
		}
	}
	before := func(name string, age time.Duration) map[string]time.Time {
		return map[string]time.Time{name: noon.Add(-age)}
	}
	for name, tc := range map[string]struct {
		seen       map[string]time.Time // before
		units      []unit.Unit
		want       time.Duration
		remembered int
	}{
		"an empty pool":                          {want: -1},
		"all have theirs":                        {units: []unit.Unit{u("a", pool.Starting, false, false)}, want: -1},
		"one is seen without for the first time": {units: []unit.Unit{u("a", pool.Starting, true, false)}, want: podless, remembered: 1},
		"one was seen before":                    {before("a", time.Second), []unit.Unit{u("a", pool.Starting, true, false)}, 4 * time.Second, 1},
		"the first counts":                       {before("a", 3*time.Second), []unit.Unit{u("b", pool.Starting, true, false), u("a", pool.Starting, true, false)}, 2 * time.Second, 2},
		"one has been without for too long":      {before("a", time.Minute), []unit.Unit{u("a", pool.Starting, true, false), u("b", pool.Starting, true, false)}, 0, 2},
		"the very moment":                        {before("a", podless), []unit.Unit{u("a", pool.Starting, true, false)}, 0, 1},
		"it has its pods by now":                 {before("a", time.Minute), []unit.Unit{u("a", pool.Starting, false, false)}, -1, 0},
		"a suspended Job has none (defect 3)":    {before("a", time.Hour), []unit.Unit{u("a", pool.Starting, true, true)}, -1, 0},
		"one that is being deleted needs none":   {before("a", time.Hour), []unit.Unit{u("a", pool.Terminating, true, false)}, -1, 0},
		"one whose pods were retired needs none": {before("a", time.Hour), []unit.Unit{u("a", pool.Retiring, true, false)}, -1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := &snapshot{units: tc.units, memory: &memory{podless: tc.seen}}
			s.view.Now = noon
			if got := s.withoutPods(); got != tc.want && (got >= 0 || tc.want >= 0) {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if got := len(s.memory.podless); got != tc.remembered {
				t.Errorf("%d units are remembered, want %d: %v", got, tc.remembered, s.memory.podless)
			}
		})
	}
}
