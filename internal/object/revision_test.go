// SPDX-License-Identifier: Apache-2.0

package object

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

func TestRevision(t *testing.T) {
	auto := func(s *v1alpha1.HotStandbyJobSpec) {
		s.BusyProbe = v1alpha1.BusyProbe{Mode: v1alpha1.BusyByExec, Exec: &v1alpha1.ExecProbe{Command: []string{"/busy"}}}
	}
	apiServer := func(s *v1alpha1.HotStandbyJobSpec) {
		auto(s)
		s.BusyProbe.Exec.Runner = v1alpha1.ExecAPIServer
	}
	push := func(s *v1alpha1.HotStandbyJobSpec) { s.Assignment = v1alpha1.AssignmentPush }
	type change func(*v1alpha1.HotStandbyJobSpec)
	for name, tc := range map[string]struct {
		before, change change
		wantNew        bool
	}{
		"the pool's size":    {change: func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget, s.MaxReplicas = 7, new(int32(9)) }},
		"pause":              {change: func(s *v1alpha1.HotStandbyJobSpec) { s.Paused = true }},
		"an annotation key":  {change: func(s *v1alpha1.HotStandbyJobSpec) { s.BusyProbe.AnnotationKey = "example.com/busy" }},
		"an update strategy": {change: func(s *v1alpha1.HotStandbyJobSpec) { s.UpdateStrategy.Type = v1alpha1.UpdateOnDelete }},
		"an empty selector":  {change: func(s *v1alpha1.HotStandbyJobSpec) { s.Selector = &v1alpha1.Selector{} }},
		"an image":           {change: func(s *v1alpha1.HotStandbyJobSpec) { s.JobTemplate.Image = "busybox:2" }, wantNew: true},
		"a Job's field":      {change: func(s *v1alpha1.HotStandbyJobSpec) { s.JobTemplate.BackoffLimit = new(int32(0)) }, wantNew: true},
		"a label of the selector": {change: func(s *v1alpha1.HotStandbyJobSpec) {
			s.Selector = &v1alpha1.Selector{MatchLabels: map[string]string{"a": "b"}}
		}, wantNew: true},
		"a mode that puts the command into the pod": {change: auto, wantNew: true},
		"a command that the kubelet runs": {
			before: auto, change: func(s *v1alpha1.HotStandbyJobSpec) { s.BusyProbe.Exec.Command = []string{"/other"} }, wantNew: true,
		},
		"what success of the command means": {
			before: auto, change: func(s *v1alpha1.HotStandbyJobSpec) { s.BusyProbe.Exec.SuccessIsBusy = new(false) },
		},
		"defaults that are written out": {
			before: auto, change: func(s *v1alpha1.HotStandbyJobSpec) {
				s.BusyProbe.Exec = &v1alpha1.ExecProbe{
					Command: []string{"/busy"}, TimeoutSeconds: 1, PeriodSeconds: 10, Runner: v1alpha1.ExecAuto, SuccessIsBusy: new(true),
				}
			},
		},
		"a command that the API server runs": {
			before: apiServer, change: func(s *v1alpha1.HotStandbyJobSpec) { s.BusyProbe.Exec.Command = []string{"/other"} },
		},
		"a mode that puts the entrypoint into the pod": {
			change: func(s *v1alpha1.HotStandbyJobSpec) { s.BusyProbe.Mode = v1alpha1.BusyByReport }, wantNew: true,
		},
		"a warm-up": {before: push, change: func(s *v1alpha1.HotStandbyJobSpec) {
			s.Standby = &v1alpha1.StandbySpec{Warmup: &v1alpha1.Warmup{Command: []string{"/warm"}}}
		}, wantNew: true},
		"the container that waits": {before: push, change: func(s *v1alpha1.HotStandbyJobSpec) {
			s.Standby = &v1alpha1.StandbySpec{Container: "other"}
		}, wantNew: true},
		"defaults of standby that are written out": {before: push, change: func(s *v1alpha1.HotStandbyJobSpec) {
			s.Standby = &v1alpha1.StandbySpec{Container: "worker", WhenEmpty: v1alpha1.WhenEmptyColdStart, StartTimeoutSeconds: new(int32(30))}
		}},
		"what becomes of launches": {before: push, change: func(s *v1alpha1.HotStandbyJobSpec) {
			s.Standby = &v1alpha1.StandbySpec{WhenEmpty: v1alpha1.WhenEmptyWait, MaxIdleSeconds: new(int32(60)), StartTimeoutSeconds: new(int32(5))}
		}},
		"who runs the command": {before: auto, change: apiServer, wantNew: true},
	} {
		t.Run(name, func(t *testing.T) {
			h := &v1alpha1.HotStandbyJob{Spec: v1alpha1.HotStandbyJobSpec{JobTemplate: v1alpha1.JobTemplate{Image: "busybox:1"}}}
			if tc.before != nil {
				tc.before(&h.Spec)
			}
			before := Revision(h)
			tc.change(&h.Spec)
			if got := Revision(h) != before; got != tc.wantNew {
				t.Errorf("a new revision: %v, want %v", got, tc.wantNew)
			}
			if faults := validation.IsValidLabelValue(before); len(faults) > 0 {
				t.Errorf("%q is no label's value: %v", before, faults)
			}
		})
	}
}

func TestManagesEviction(t *testing.T) {
	with := func(annotations map[string]string) v1alpha1.JobTemplate {
		t := &corev1.PodTemplateSpec{}
		t.Annotations = annotations
		return v1alpha1.JobTemplate{Template: t}
	}
	for name, tc := range map[string]struct {
		given v1alpha1.JobTemplate
		want  bool
	}{
		"the shorthand":                     {v1alpha1.JobTemplate{Image: "busybox"}, true},
		"a template without annotations":    {with(nil), true},
		"a template with other annotations": {with(map[string]string{"a": "b"}), true},
		"the autoscaler's":                  {with(map[string]string{SafeToEvict: "true"}), false},
		"Karpenter's":                       {with(map[string]string{DoNotDisrupt: "false"}), false},
	} {
		t.Run(name, func(t *testing.T) {
			h := &v1alpha1.HotStandbyJob{Spec: v1alpha1.HotStandbyJobSpec{JobTemplate: tc.given}}
			if got := ManagesEviction(h); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}
