// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// asking is a Job that asks for a pool, with annotations as pairs of key and value.
func asking(pool string, annotations ...string) *job {
	j := &job{}
	j.Labels = map[string]string{v1alpha1.LabelPool: pool}
	for i := 0; i < len(annotations); i += 2 {
		metav1.SetMetaDataAnnotation(&j.ObjectMeta, annotations[i], annotations[i+1])
	}
	return j
}

func poolOf(assignment v1alpha1.Assignment) *v1alpha1.HotStandbyJob {
	return &v1alpha1.HotStandbyJob{
		ObjectMeta: metav1.ObjectMeta{Name: "game", Namespace: "games"},
		Spec:       v1alpha1.HotStandbyJobSpec{Assignment: assignment},
	}
}

func TestDecide(t *testing.T) {
	leaving := poolOf(v1alpha1.AssignmentPush)
	leaving.DeletionTimestamp = new(metav1.Unix(1, 0))
	push := poolOf(v1alpha1.AssignmentPush)
	gang, priority := v1alpha1.AnnotationGang, v1alpha1.AnnotationPriority
	for name, tc := range map[string]struct {
		job      *job
		pool     *v1alpha1.HotStandbyJob
		launch   bool
		warnings []string // what each of them says
	}{
		"a pool that pushes":            {job: asking("game"), pool: push, launch: true},
		"a pool that pulls":             {asking("game"), poolOf(v1alpha1.AssignmentPull), false, []string{"spec.assignment: Pull"}},
		"a pool from before assignment": {asking("game"), poolOf(""), false, []string{"spec.assignment: Pull"}},
		"no such pool":                  {asking("gone"), nil, false, []string{"pool gone not found in namespace games: the Job runs as an ordinary Job"}},
		"a pool that is being deleted":  {asking("game"), leaving, false, []string{"is being deleted"}},
		"an empty label":                {asking(""), nil, false, []string{`metadata.labels[hsj.paia.tech/pool] is ""`}},
		"a label that names no object":  {asking("My_Game"), nil, false, []string{`"My_Game", which is no name`}},
		"annotations in order": {
			job: asking("game", gang, "true", priority, "-3"), pool: push, launch: true,
		},
		"no gang":                      {job: asking("game", gang, "false"), pool: push, launch: true},
		"a gang neither true nor not":  {asking("game", gang, "yes"), push, true, []string{`metadata.annotations[hsj.paia.tech/gang] is "yes"`}},
		"a priority that is no number": {asking("game", priority, "high"), push, true, []string{`metadata.annotations[hsj.paia.tech/priority] is "high"`}},
		"a priority beyond all":        {asking("game", priority, "2147483648"), push, true, []string{"use an integer"}},
		"both annotations wrong": {
			asking("game", gang, "", priority, ""), push, true, []string{`use "true" or "false"`, `use an integer such as "10"`},
		},
		"annotations don't matter to an ordinary Job": {
			asking("gone", gang, "yes"), nil, false, []string{"not found"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := decide(tc.job, "games", tc.pool)
			if got.launch != tc.launch || len(got.warnings) != len(tc.warnings) {
				t.Fatalf("launch: %v, warnings %q", got.launch, got.warnings)
			}
			for i, want := range tc.warnings {
				if !strings.Contains(got.warnings[i], want) {
					t.Errorf("the warning %q doesn't say %q", got.warnings[i], want)
				}
				if !tc.launch && !strings.HasSuffix(got.warnings[i], ": the Job runs as an ordinary Job") {
					t.Errorf("the warning %q doesn't say what becomes of the Job", got.warnings[i])
				}
			}
		})
	}
}

func TestConcerned(t *testing.T) {
	other := asking("game")
	other.Spec.ManagedBy = new("example.com/controller")
	ours := asking("game")
	ours.Spec.ManagedBy = new(v1alpha1.ManagedByLauncher)
	got := map[string]bool{
		"asks for a pool": asking("game").concerned(), "asks for none": (&job{}).concerned(),
		"is another's": other.concerned(), "is ours": ours.concerned(),
	}
	want := map[string]bool{"asks for a pool": true, "asks for none": false, "is another's": false, "is ours": false}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
