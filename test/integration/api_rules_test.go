// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// rule is a rule of the API that no single field's schema can say, with specs on either side of it.
type rule struct {
	message  string // a part of the message that is found in no other
	field    string // what it points to
	name     string // of both pools; "x" when empty
	accepted string
	refused  string
}

func rules() []rule { return slices.Concat(poolRules(), pushRules()) }

func poolRules() []rule {
	const (
		long49, long54 = "a23456789-b23456789-c23456789-d23456789-e23456789", "a23456789-b23456789-c23456789-d23456789-e23456789-1234"
		long50, long52 = long49 + "1", long49 + "123"
		template       = `jobTemplate: {template: {metadata: {labels: {app: game, tier: a}}, spec: {containers: [{name: a, image: b}]}}}`
	)
	return []rule{
		{
			message: "layout: SharedJob: the unit's index", field: "", name: long50,
			accepted: `{layout: JobPerUnit, ` + shorthand + `}`,
			refused:  `{layout: SharedJob, ` + shorthand + `}`,
		},
		{
			message: "with completionMode: Indexed, 52 with", field: "", name: long54,
			accepted: `{jobTemplate: {image: x, completionMode: NonIndexed}}`,
			refused:  `{jobTemplate: {image: x, completionMode: Indexed}}`,
		},
		{
			message: "51 with parallelism over 100: the index", field: "", name: long52,
			accepted: `{jobTemplate: {image: x, completionMode: Indexed, parallelism: 100}}`,
			refused:  `{jobTemplate: {image: x, completionMode: Indexed, parallelism: 101}}`,
		},
		{
			message: "minReplicas must not be greater than maxReplicas", field: "spec.minReplicas",
			accepted: `{minReplicas: 3, maxReplicas: 3, ` + shorthand + `}`,
			refused:  `{minReplicas: 4, maxReplicas: 3, ` + shorthand + `}`,
		},
		{
			message: "selector.matchLabels contradicts", field: "spec.selector",
			accepted: `{selector: {matchLabels: {app: game, zone: z}}, ` + template + `}`,
			refused:  `{selector: {matchLabels: {zone: z, tier: b}}, ` + template + `}`,
		},
		{
			message: "jobTemplate.activeDeadlineSeconds would end all units", field: "spec.jobTemplate",
			accepted: `{layout: SharedJob, jobTemplate: {template: {spec: {activeDeadlineSeconds: 9, containers: [{name: a, image: b}]}}}}`,
			refused:  `{layout: SharedJob, jobTemplate: {image: x, activeDeadlineSeconds: 9}}`,
		},
		{
			message: "jobTemplate.successPolicy and jobTemplate.maxFailedIndexes", field: "spec.jobTemplate",
			accepted: `{layout: JobPerUnit, jobTemplate: {image: x, maxFailedIndexes: 1}}`,
			refused:  `{layout: SharedJob, jobTemplate: {image: x, maxFailedIndexes: 1}}`,
		},
		{
			message: "jobTemplate.successPolicy and jobTemplate.maxFailedIndexes", field: "spec.jobTemplate",
			accepted: `{jobTemplate: {image: x, completionMode: Indexed, successPolicy: {rules: [{succeededCount: 1}]}}}`,
			refused:  `{layout: SharedJob, jobTemplate: {image: x, successPolicy: {rules: [{succeededCount: 1}]}}}`,
		},
		{
			message: "jobTemplate.completionMode must be Indexed", field: "spec.jobTemplate",
			accepted: `{layout: SharedJob, jobTemplate: {image: x, completionMode: Indexed}}`,
			refused:  `{layout: SharedJob, jobTemplate: {image: x, completionMode: NonIndexed}}`,
		},
		{
			message: "give either template (a pod template) or image", field: "spec.jobTemplate",
			accepted: `{` + template + `}`,
			refused:  `{jobTemplate: {image: x, template: {spec: {containers: [{name: a, image: b}]}}}}`,
		},
		{
			message: "give either template (a pod template) or image", field: "spec.jobTemplate",
			accepted: `{` + shorthand + `}`,
			refused:  `{jobTemplate: {parallelism: 1}}`,
		},
		{
			message: "are the shorthand that goes with image", field: "spec.jobTemplate",
			accepted: `{jobTemplate: {image: x, command: [a], args: [b], env: [{name: c, value: d}], imagePullPolicy: Never}}`,
			refused:  `{jobTemplate: {command: [a], template: {spec: {containers: [{name: a, image: b}]}}}}`,
		},
		{
			message: "busyProbe.http goes with mode: http", field: "spec.busyProbe.http",
			accepted: `{busyProbe: {mode: http, http: {}}, ` + shorthand + `}`,
			refused:  `{busyProbe: {http: {port: 80}}, ` + shorthand + `}`,
		},
		{
			message: "busyProbe.exec goes with mode: exec", field: "spec.busyProbe.exec",
			accepted: `{busyProbe: {mode: exec, exec: {}}, ` + shorthand + `}`,
			refused:  `{busyProbe: {mode: annotation, exec: {command: [a]}}, ` + shorthand + `}`,
		},
		{
			message: "busyProbe.redis goes with mode: redis", field: "spec.busyProbe.redis",
			accepted: `{busyProbe: {mode: redis, redis: {}}, ` + shorthand + `}`,
			refused:  `{busyProbe: {mode: http, redis: {key: a}}, ` + shorthand + `}`,
		},
		{
			message: "annotationKey must be an annotation's key", field: "spec.busyProbe.annotationKey",
			accepted: `{busyProbe: {annotationKey: games.example.com/Busy_now}, ` + shorthand + `}`,
			refused:  `{busyProbe: {annotationKey: example.com/busy/now}, ` + shorthand + `}`,
		},
		{
			message: "passwordSecretRef goes with an address", field: "spec.busyProbe.redis.passwordSecretRef",
			accepted: `{busyProbe: {mode: redis, redis: {address: "r:6379", passwordSecretRef: {name: s}}}, ` + shorthand + `}`,
			refused:  `{busyProbe: {mode: redis, redis: {passwordSecretRef: {name: s}}}, ` + shorthand + `}`,
		},
		{
			message: "matchLabels must be labels", field: "spec.selector.matchLabels",
			accepted: `{selector: {matchLabels: {example.com/app: Game_1.a, empty: ""}}, ` + shorthand + `}`,
			refused:  `{selector: {matchLabels: {app: "a game"}}, ` + shorthand + `}`,
		},
		{
			message: "rollingUpdate goes with type: RollingUpdate", field: "spec.updateStrategy.rollingUpdate",
			accepted: `{updateStrategy: {rollingUpdate: {maxUnavailable: 100%}}, ` + shorthand + `}`,
			refused:  `{updateStrategy: {type: OnDelete, rollingUpdate: {maxUnavailable: 1}}, ` + shorthand + `}`,
		},
		{
			message: "maxUnavailable must be a number from 1", field: "spec.updateStrategy.rollingUpdate.maxUnavailable",
			accepted: `{updateStrategy: {rollingUpdate: {maxUnavailable: 1}}, ` + shorthand + `}`,
			refused:  `{updateStrategy: {rollingUpdate: {maxUnavailable: 101%}}, ` + shorthand + `}`,
		},
	}
}

// pushRules are those about assignment: Push.
func pushRules() []rule {
	rules := []rule{
		{
			message: "standby goes with assignment: Push", field: "spec.standby",
			accepted: `{assignment: Push, standby: {}, ` + shorthand + `}`,
			refused:  `{standby: {}, ` + shorthand + `}`,
		},
		{
			message: "layout: SharedJob goes with assignment: Pull", field: "spec.layout",
			accepted: `{assignment: Push, layout: JobPerUnit, ` + shorthand + `}`,
			refused:  `{assignment: Push, layout: SharedJob, ` + shorthand + `}`,
		},
		{
			message: "standby.container must name one of", field: "spec.standby",
			accepted: `{assignment: Push, standby: {container: worker}, ` + shorthand + `}`,
			refused:  `{assignment: Push, standby: {container: game}, ` + shorthand + `}`,
		},
		{
			message: "standby.container must name one of", field: "spec.standby",
			accepted: `{assignment: Push, standby: {container: b}, jobTemplate: {template: {spec: {containers: [{name: a, image: x}, {name: b, image: x}]}}}}`,
			refused:  `{assignment: Push, standby: {container: c}, jobTemplate: {template: {spec: {containers: [{name: a, image: x}, {name: b, image: x}]}}}}`,
		},
	}
	for _, probe := range []string{"mode: report", "mode: http", "annotationKey: example.com/busy", "mode: exec, exec: {}", "mode: redis, redis: {}"} {
		rules = append(rules, rule{
			message: "busyProbe goes with assignment: Pull", field: "spec.busyProbe",
			accepted: `{assignment: Push, busyProbe: {mode: annotation}, ` + shorthand + `}`,
			refused:  `{assignment: Push, busyProbe: {` + probe + `}, ` + shorthand + `}`,
		})
	}
	for _, field := range []string{
		"parallelism: 1", "completions: 1", "completionMode: Indexed", "backoffLimit: 0", "backoffLimitPerIndex: 0", "maxFailedIndexes: 0",
		"activeDeadlineSeconds: 9", "ttlSecondsAfterFinished: 0", "suspend: false", "podFailurePolicy: {rules: []}",
		"successPolicy: {rules: [{succeededCount: 1}]}", "podReplacementPolicy: Failed", "managedBy: a.b/c",
	} {
		rules = append(rules, rule{
			message: "jobTemplate can't have parallelism", field: "spec.jobTemplate",
			accepted: `{assignment: Push, jobTemplate: {image: x, command: [a], args: [b]}}`,
			refused:  `{assignment: Push, jobTemplate: {image: x, ` + field + `}}`,
		})
	}
	return rules
}

func TestAPIRules(t *testing.T) {
	s := newServer(t)
	for _, tc := range rules() {
		t.Run(tc.message, func(t *testing.T) {
			name := cmp.Or(tc.name, "x")
			if _, err := s.dryRun(t, name, tc.accepted); err != nil {
				t.Errorf("%s was refused: %v", tc.accepted, err)
			}
			_, err := s.dryRun(t, name, tc.refused)
			if found := causes(t, err); !has(found, tc.field+": ", tc.message) {
				t.Errorf("%s was refused because of %q, want field %q and %q", tc.refused, found, tc.field, tc.message)
			}
		})
	}
}

func TestAPINameLeavesRoomForJobs(t *testing.T) {
	s := newServer(t)
	const message = "metadata.name must have at most 55 characters"
	if _, err := s.dryRun(t, strings.Repeat("a", 55), shorthand); err != nil {
		t.Errorf("a name of 55 characters was refused: %v", err)
	}
	_, err := s.dryRun(t, strings.Repeat("a", 56), shorthand)
	if found := causes(t, err); !has(found, "metadata.name: ", message) {
		t.Errorf("a name of 56 characters was refused because of %q, want %q", found, message)
	}
}

func TestAPILayoutIsImmutable(t *testing.T) {
	s := newServer(t)
	pool := s.create(t, "x", `{layout: SharedJob, `+shorthand+`}`)
	pool.Object["spec"].(map[string]any)["idleTarget"] = int64(3)
	pool, err := s.pools().Update(t.Context(), pool, metav1.UpdateOptions{})
	if err != nil {
		t.Fatalf("an update that leaves the layout alone was refused: %v", err)
	}
	pool.Object["spec"].(map[string]any)["layout"] = "JobPerUnit"
	_, err = s.pools().Update(t.Context(), pool, metav1.UpdateOptions{})
	if found := causes(t, err); !has(found, "spec.layout: ", "layout can't be changed") {
		t.Errorf("another layout was refused because of %q", found)
	}
}

func TestAPIAssignmentIsImmutable(t *testing.T) {
	s := newServer(t)
	pool := s.create(t, "x", `{assignment: Push, `+shorthand+`}`)
	pool.Object["spec"].(map[string]any)["assignment"] = "Pull"
	_, err := s.pools().Update(t.Context(), pool, metav1.UpdateOptions{})
	if found := causes(t, err); !has(found, "spec.assignment: ", "assignment can't be changed") {
		t.Errorf("another assignment was refused because of %q", found)
	}
}

// TestAPIEveryRuleHasACase keeps the tests above complete.
func TestAPIEveryRuleHasACase(t *testing.T) {
	tested := []string{"metadata.name must have at most 55 characters", "layout can't be changed", "assignment can't be changed"}
	for _, tc := range rules() {
		tested = append(tested, tc.message)
	}
	walkSchema(t, func(path string, schema map[string]any) {
		validations, _ := schema["x-kubernetes-validations"].([]any)
		for _, validation := range validations {
			message, _ := validation.(map[string]any)["message"].(string)
			if !slices.ContainsFunc(tested, func(part string) bool { return strings.Contains(message, part) }) {
				t.Errorf("%s: no case for the rule with the message %q", path, message)
			}
		}
	})
}
