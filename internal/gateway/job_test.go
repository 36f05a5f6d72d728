// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/client/launcherv1"
)

func TestTheJobIsThePoolsTemplateWithWhatTheRequestSays(t *testing.T) {
	own := []corev1.EnvVar{{Name: "A", Value: "a"}, {Name: "B", Value: "$(A)"}}
	for name, tc := range map[string]struct {
		request       *launcherv1.LaunchRequest
		command, args []string
		env           []corev1.EnvVar
	}{
		"nothing":          {&launcherv1.LaunchRequest{}, []string{"serve"}, []string{"--all"}, own},
		"a command":        {&launcherv1.LaunchRequest{Command: []string{"play"}}, []string{"play"}, nil, own},
		"arguments":        {&launcherv1.LaunchRequest{Args: []string{"--one"}}, []string{"serve"}, []string{"--one"}, own},
		"both":             {&launcherv1.LaunchRequest{Command: []string{"play"}, Args: []string{"--one"}}, []string{"play"}, []string{"--one"}, own},
		"more environment": {&launcherv1.LaunchRequest{Env: map[string]string{"D": "d", "C": "c", "A": "x"}}, []string{"serve"}, []string{"--all"}, []corev1.EnvVar{{Name: "A", Value: "x"}, own[1], {Name: "C", Value: "c"}, {Name: "D", Value: "d"}}},
	} {
		t.Run(name, func(t *testing.T) {
			template, container, _ := fixedPools{}.Template(context.Background(), game)
			tc.request.Namespace, tc.request.Pool = "games", "game"
			j, err := jobFor(tc.request, "jane", &template, container)
			if err != nil {
				t.Fatal(err)
			}
			got := j.Spec.Template.Spec.Containers[1]
			want := corev1.Container{Name: "main", Image: "m", Command: tc.command, Args: tc.args, Env: tc.env}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if *j.Spec.ManagedBy != v1alpha1.ManagedByLauncher || j.Labels[v1alpha1.LabelPool] != "game" || j.Annotations[annotationRequestedBy] != "jane" {
				t.Errorf("managed by %s, %v, %v", *j.Spec.ManagedBy, j.Labels, j.Annotations)
			}
			if *j.Spec.Parallelism != 1 || *j.Spec.Completions != 1 || *j.Spec.BackoffLimit != 0 || *j.Spec.TTLSecondsAfterFinished != defaultTTL || j.Spec.ActiveDeadlineSeconds != nil {
				t.Errorf("spec: %v", j.Spec)
			}
		})
	}
}

func TestTheRequestsNumbersAreTheJobs(t *testing.T) {
	template, container, _ := fixedPools{}.Template(context.Background(), game)
	j, err := jobFor(&launcherv1.LaunchRequest{
		Namespace: "games", Pool: "game", Pods: 3, Gang: true, Priority: -5, BackoffLimit: 2, TtlSecondsAfterFinished: new(int32(0)),
		ActiveDeadlineSeconds: 60, WorkingDir: "/w", Labels: map[string]string{"team": "red"}, Annotations: map[string]string{"note": "n"},
	}, "jane", &template, container)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{annotationRequestedBy: "jane", v1alpha1.AnnotationGang: "true", v1alpha1.AnnotationPriority: "-5", "note": "n"}
	if diff := cmp.Diff(want, j.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{v1alpha1.LabelPool: "game", "team": "red"}, j.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	s := j.Spec
	if *s.Parallelism != 3 || *s.Completions != 3 || *s.BackoffLimit != 2 || *s.TTLSecondsAfterFinished != 0 || *s.ActiveDeadlineSeconds != 60 ||
		s.Template.Spec.Containers[1].WorkingDir != "/w" {
		t.Errorf("spec: %v", s)
	}
}

func TestAJobsNameHasRoomInALabel(t *testing.T) {
	for name, pool := range map[string]string{"short": "game", "long": strings.Repeat("x", 200), "with a dot at the cut": strings.Repeat("x", 51) + ".y" + strings.Repeat("z", 100)} {
		t.Run(name, func(t *testing.T) {
			for _, key := range []string{"", "k"} {
				template, container, _ := fixedPools{}.Template(context.Background(), game)
				j, err := jobFor(&launcherv1.LaunchRequest{Namespace: "games", Pool: pool, RequestKey: key}, "jane", &template, container)
				if err != nil {
					t.Fatal(err)
				}
				if len(j.Name) > 63 || len(j.GenerateName) > 58 || strings.Contains(j.Name+j.GenerateName, ".-") {
					t.Errorf("name %q, to be made from %q", j.Name, j.GenerateName)
				}
			}
		})
	}
}

func TestAllFaultsOfARequestAreNamed(t *testing.T) {
	err := check(&launcherv1.LaunchRequest{
		Namespace: "No", Pool: "-", RequestKey: strings.Repeat("k", 257), Pods: 10_001, BackoffLimit: -1, TtlSecondsAfterFinished: new(int32(-1)),
		ActiveDeadlineSeconds: -1, Command: []string{""}, Env: map[string]string{"": ""}, Annotations: map[string]string{"hsj.paia.tech/x": ""},
	})
	for _, field := range []string{
		"namespace", "pool", "request_key", "pods", "backoff_limit", "ttl_seconds_after_finished", "active_deadline_seconds", "command", "env",
		"annotations",
	} {
		if err == nil || !strings.Contains("\n"+err.Error(), "\n"+field+": ") {
			t.Errorf("%s isn't named: %v", field, err)
		}
	}
}
