// SPDX-License-Identifier: Apache-2.0

package run

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/fit"
	"github.com/paia-tech/hotstandbyjob/internal/object"
)

func pushPool(t v1alpha1.JobTemplate) *v1alpha1.HotStandbyJob {
	return &v1alpha1.HotStandbyJob{
		ObjectMeta: metav1.ObjectMeta{Name: "match", Namespace: "games"},
		Spec:       v1alpha1.HotStandbyJobSpec{Assignment: v1alpha1.AssignmentPush, JobTemplate: t},
	}
}

func shorthand() v1alpha1.JobTemplate {
	return v1alpha1.JobTemplate{Image: "game:1", Command: []string{"/game"}, Args: []string{"--idle"}, Env: []corev1.EnvVar{{Name: "MAP", Value: "sea"}}}
}

func full() v1alpha1.JobTemplate {
	return v1alpha1.JobTemplate{Template: &corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyOnFailure,
		Containers: []corev1.Container{
			{Name: "side", Image: "side:1"},
			{Name: "game", Image: "game:1", Command: []string{"/game"}},
		},
	}}}
}

func TestJobsFitIntoThePoolsPods(t *testing.T) {
	for name, tc := range map[string]struct {
		template            v1alpha1.JobTemplate
		container           string
		o                   Options
		wantCommand, wantTo []string // what the pod is told
		wantEnv             string
	}{
		"args":                  {shorthand(), "", Options{Args: []string{"--map=desert"}}, []string{"/game"}, []string{"--map=desert"}, "MAP=sea"},
		"none are the pool's":   {shorthand(), "", Options{}, []string{"/game"}, []string{"--idle"}, "MAP=sea"},
		"a command":             {shorthand(), "", Options{Command: true, Args: []string{"ls", "/"}}, []string{"ls", "/"}, nil, "MAP=sea"},
		"env":                   {shorthand(), "", Options{Env: []string{"MAP=desert=1"}}, []string{"/game"}, []string{"--idle"}, "MAP=desert=1"},
		"another container":     {full(), "game", Options{Args: []string{"x"}}, []string{"/game"}, []string{"x"}, ""},
		"a gang with priority":  {full(), "game", Options{Args: []string{"x"}, Gang: 3, Priority: 5}, []string{"/game"}, []string{"x"}, ""},
		"a direct, short-lived": {full(), "game", Options{Args: []string{"x"}, Direct: true, TTL: time.Minute}, []string{"/game"}, []string{"x"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := pushPool(tc.template)
			h.Spec.Selector = &v1alpha1.Selector{MatchLabels: map[string]string{"team": "red"}}
			if tc.container != "" {
				h.Spec.Standby = &v1alpha1.StandbySpec{Container: tc.container}
			}
			job, err := Job(h, "match-1", tc.o)
			if err != nil {
				t.Fatal(err)
			}
			pod := &corev1.Pod{ObjectMeta: job.Spec.Template.ObjectMeta, Spec: job.Spec.Template.Spec}
			p, mismatch := fit.Check(fit.Pool{Template: *object.Template(h), Container: object.StandbyContainer(h)}, pod)
			if mismatch != nil {
				t.Fatalf("it would start cold: %+v", *mismatch)
			}
			if !slices.Equal(p.Command, tc.wantCommand) || !slices.Equal(p.Args, tc.wantTo) {
				t.Errorf("it runs %q %q, want %q %q", p.Command, p.Args, tc.wantCommand, tc.wantTo)
			}
			if c := job.Spec.Template.Spec.Containers[0]; tc.wantEnv != "" && c.Env[0].Name+"="+c.Env[0].Value != tc.wantEnv {
				t.Errorf("its environment is %v, want %s", c.Env, tc.wantEnv)
			}
			if job.Labels[v1alpha1.LabelPool] != "match" || job.Namespace != "games" || *job.Spec.BackoffLimit != 0 {
				t.Errorf("the Job is %+v", job)
			}
			if (tc.o.Gang > 1) != (job.Annotations[v1alpha1.AnnotationGang] == "true") || tc.o.Gang > 1 && *job.Spec.Parallelism != tc.o.Gang {
				t.Errorf("as a gang it is %+v", job)
			}
			if tc.o.Direct != (job.Spec.ManagedBy != nil) || (tc.o.TTL > 0) != (job.Spec.TTLSecondsAfterFinished != nil) {
				t.Errorf("the Job's spec is %+v", job.Spec)
			}
		})
	}
}

func TestJobsThatCannotBeMade(t *testing.T) {
	pull := pushPool(shorthand())
	pull.Spec.Assignment = v1alpha1.AssignmentPull
	nameless := pushPool(full())
	nameless.Spec.Standby = &v1alpha1.StandbySpec{Container: "other"}
	for name, tc := range map[string]struct {
		h    *v1alpha1.HotStandbyJob
		o    Options
		want string
	}{
		"the pool hands out no work": {pull, Options{}, "assignment: Push"},
		"no such container":          {nameless, Options{}, "spec.standby.container"},
		"a command that isn't there": {pushPool(full()), Options{Command: true}, "after --"},
		"env without a value":        {pushPool(full()), Options{Env: []string{"MAP"}}, "NAME=VALUE"},
	} {
		if _, err := Job(tc.h, "x", tc.o); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want an error that says %q", name, err, tc.want)
		}
	}
}

func TestNames(t *testing.T) {
	for _, pool := range []string{"match", "a.b", strings.Repeat("x", 63)} {
		if name := (Options{Pool: pool}).name("abcde"); len(validation.IsDNS1123Label(name)) > 0 || !strings.HasSuffix(name, "-abcde") {
			t.Errorf("the Job of pool %s is named %s", pool, name)
		}
	}
	if name := (Options{Pool: "match", Name: "mine"}).name("abcde"); name != "mine" {
		t.Errorf("the Job is named %s, want as the user says", name)
	}
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	for want, o := range map[string]Options{
		"--gang": {Gang: 0, Wait: true}, "--ttl": {Gang: 1, TTL: -1}, "--rm": {Gang: 1, Remove: true},
	} {
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want an error about %s", o, err, want)
		}
	}
}
