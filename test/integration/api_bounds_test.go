// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// bound is what a field's own schema limits: specs with the last value that is accepted, and the first that is refused.
type bound struct {
	field    string
	keyword  string
	accepted string
	refused  string
}

// complaints are what the server says about a keyword.
func complaints() map[string]string {
	return map[string]string{
		"minimum":       "should be greater than or equal to",
		"maximum":       "should be less than or equal to",
		"minLength":     "should be at least 1 chars long",
		"maxLength":     "Too long",
		"pattern":       "should match",
		"enum":          "Unsupported value",
		"required":      "Required value",
		"maxProperties": "Too many",
	}
}

func bounds() []bound {
	return slices.Concat(poolBounds(), standbyBounds(), probeBounds(), jobBounds())
}

func number(field, keyword, format string, accepted, refused int) bound {
	return bound{field, keyword, fmt.Sprintf(format, accepted), fmt.Sprintf(format, refused)}
}

func poolBounds() []bound {
	const s = ", " + shorthand + "}"
	var many []string
	for i := range 65 {
		many = append(many, fmt.Sprintf("l%d: a", i))
	}
	return []bound{
		{"spec", "required", "{" + shorthand + "}", "{idleTarget: 1}"},
		{"spec.assignment", "enum", "{assignment: Pull" + s, "{assignment: pull" + s},
		{"spec.layout", "enum", "{layout: SharedJob" + s, "{layout: Shared" + s},
		{"spec.updateStrategy.type", "enum", "{updateStrategy: {type: OnDelete}" + s, "{updateStrategy: {type: Recreate}" + s},
		number("spec.idleTarget", "minimum", "{idleTarget: %d"+s, 0, -1),
		number("spec.minReplicas", "minimum", "{minReplicas: %d"+s, 0, -1),
		number("spec.maxReplicas", "minimum", "{maxReplicas: %d"+s, 0, -1),
		number("spec.scaleDownDelaySeconds", "minimum", "{scaleDownDelaySeconds: %d"+s, 0, -1),
		number("spec.failedUnitsHistoryLimit", "minimum", "{failedUnitsHistoryLimit: %d"+s, 0, -1),
		number("spec.succeededUnitsHistoryLimit", "minimum", "{succeededUnitsHistoryLimit: %d"+s, 0, -1),
		{
			"spec.selector.matchLabels", "maxProperties",
			"{selector: {matchLabels: {" + strings.Join(many[:64], ", ") + "}}" + s,
			"{selector: {matchLabels: {" + strings.Join(many, ", ") + "}}" + s,
		},
		text("spec.selector.matchLabels.*", "{selector: {matchLabels: {a: %s}}"+s, 63),
		number("spec.updateStrategy.rollingUpdate.maxUnavailable", "maximum",
			"{updateStrategy: {rollingUpdate: {maxUnavailable: %d}}"+s, 1<<31-1, 1<<31),
		number("spec.updateStrategy.rollingUpdate.maxUnavailable", "minimum",
			"{updateStrategy: {rollingUpdate: {maxUnavailable: %d}}"+s, 1, -1<<31-1),
	}
}

func standbyBounds() []bound {
	standby := func(what string) string { return "{assignment: Push, standby: {" + what + "}, " + shorthand + "}" }
	game := func(name string) string {
		return "{assignment: Push, standby: {container: " + name + "}, jobTemplate: {template: {spec: {containers: [{name: " + name + ", image: x}]}}}}"
	}
	warmup := func(what string) string { return standby("warmup: {" + what + "}") }
	return []bound{
		{"spec.standby.container", "minLength", standby("container: worker"), standby("container: ''")},
		{"spec.standby.container", "maxLength", game(strings.Repeat("a", 63)), game(strings.Repeat("a", 64))},
		{"spec.standby.whenEmpty", "enum", standby("whenEmpty: Wait"), standby("whenEmpty: wait")},
		number("spec.standby.maxIdleSeconds", "minimum", standby("maxIdleSeconds: %d"), 1, 0),
		number("spec.standby.startTimeoutSeconds", "minimum", standby("startTimeoutSeconds: %d"), 1, 0),
		number("spec.standby.startTimeoutSeconds", "maximum", standby("startTimeoutSeconds: %d"), 3600, 3601),
		{"spec.standby.warmup", "required", warmup("command: [a]"), warmup("timeoutSeconds: 1")},
		number("spec.standby.warmup.timeoutSeconds", "minimum", warmup("command: [a], timeoutSeconds: %d"), 1, 0),
		number("spec.standby.warmup.timeoutSeconds", "maximum", warmup("command: [a], timeoutSeconds: %d"), 86400, 86401),
	}
}

// text is a bound on the length of a text, which is the format's only argument.
func text(field, format string, most int) bound {
	return bound{
		field, "maxLength",
		fmt.Sprintf(format, strings.Repeat("a", most)), fmt.Sprintf(format, strings.Repeat("a", most+1)),
	}
}

func probeBounds() []bound {
	const s = ", " + shorthand + "}"
	http, exec := func(what string) string { return "{busyProbe: {mode: http, http: {" + what + "}}" + s },
		func(what string) string { return "{busyProbe: {mode: exec, exec: {" + what + "}}" + s }
	redis := func(what string) string { return "{busyProbe: {mode: redis, redis: {" + what + "}}" + s }
	secret := func(what string) string { return redis("address: 'r:1', passwordSecretRef: {" + what + "}") }
	return []bound{
		{"spec.busyProbe.mode", "enum", "{busyProbe: {mode: redis}" + s, "{busyProbe: {mode: Redis}" + s},
		{
			"spec.busyProbe.annotationKey", "maxLength",
			"{busyProbe: {annotationKey: " + strings.Repeat("a", 253) + "/" + strings.Repeat("b", 63) + "}" + s,
			"{busyProbe: {annotationKey: " + strings.Repeat("a", 254) + "/" + strings.Repeat("b", 63) + "}" + s,
		},
		number("spec.busyProbe.http.port", "minimum", http("port: %d"), 1, 0),
		number("spec.busyProbe.http.port", "maximum", http("port: %d"), 65535, 65536),
		text("spec.busyProbe.http.path", http("path: /%s"), 2047),
		{"spec.busyProbe.http.path", "pattern", http("path: /"), http("path: busy")},
		number("spec.busyProbe.http.timeoutSeconds", "minimum", http("timeoutSeconds: %d"), 0, -1),
		number("spec.busyProbe.http.timeoutSeconds", "maximum", http("timeoutSeconds: %d"), 300, 301),
		number("spec.busyProbe.http.periodSeconds", "minimum", http("periodSeconds: %d"), 0, -1),
		number("spec.busyProbe.http.periodSeconds", "maximum", http("periodSeconds: %d"), 3600, 3601),
		number("spec.busyProbe.exec.timeoutSeconds", "minimum", exec("timeoutSeconds: %d"), 0, -1),
		number("spec.busyProbe.exec.timeoutSeconds", "maximum", exec("timeoutSeconds: %d"), 300, 301),
		number("spec.busyProbe.exec.periodSeconds", "minimum", exec("periodSeconds: %d"), 0, -1),
		number("spec.busyProbe.exec.periodSeconds", "maximum", exec("periodSeconds: %d"), 3600, 3601),
		{"spec.busyProbe.exec.runner", "enum", exec("runner: APIServer"), exec("runner: Operator")},
		text("spec.busyProbe.redis.address", redis("address: '%s:1'"), 298),
		{"spec.busyProbe.redis.address", "pattern", redis("address: '[::1]:6379'"), redis("address: redis")},
		number("spec.busyProbe.redis.db", "minimum", redis("db: %d"), 0, -1),
		text("spec.busyProbe.redis.key", redis("key: %s"), 1024),
		number("spec.busyProbe.redis.staleSeconds", "minimum", redis("staleSeconds: %d"), 0, -1),
		{"spec.busyProbe.redis.passwordSecretRef", "required", secret("name: a"), secret("key: a")},
		{"spec.busyProbe.redis.passwordSecretRef.name", "minLength", secret("name: a"), secret("name: ''")},
		text("spec.busyProbe.redis.passwordSecretRef.name", secret("name: %s"), 253),
		text("spec.busyProbe.redis.passwordSecretRef.key", secret("name: a, key: %s"), 253),
	}
}

func jobBounds() []bound {
	job := func(what string) string { return "{jobTemplate: {image: x, " + what + "}}" }
	return []bound{
		{"spec.jobTemplate.image", "minLength", "{jobTemplate: {image: x}}", "{jobTemplate: {image: ''}}"},
		number("spec.jobTemplate.parallelism", "minimum", job("parallelism: %d"), 1, 0),
		number("spec.jobTemplate.parallelism", "maximum", job("parallelism: %d"), 1000, 1001),
		number("spec.jobTemplate.completions", "minimum", job("completions: %d"), 0, -1),
		{"spec.jobTemplate.completionMode", "enum", job("completionMode: Indexed"), job("completionMode: indexed")},
		number("spec.jobTemplate.backoffLimit", "minimum", job("backoffLimit: %d"), 0, -1),
		number("spec.jobTemplate.backoffLimitPerIndex", "minimum", job("backoffLimitPerIndex: %d"), 0, -1),
		number("spec.jobTemplate.maxFailedIndexes", "minimum", job("maxFailedIndexes: %d"), 0, -1),
		number("spec.jobTemplate.activeDeadlineSeconds", "minimum", job("activeDeadlineSeconds: %d"), 1, 0),
		number("spec.jobTemplate.ttlSecondsAfterFinished", "minimum", job("ttlSecondsAfterFinished: %d"), 0, -1),
		{"spec.jobTemplate.podReplacementPolicy", "enum", job("podReplacementPolicy: Failed"), job("podReplacementPolicy: Never")},
		text("spec.jobTemplate.managedBy", job("managedBy: %s"), 63),
	}
}

func TestAPIBounds(t *testing.T) {
	s := newServer(t)
	for _, tc := range bounds() {
		t.Run(tc.field+" "+tc.keyword, func(t *testing.T) {
			if _, err := s.dryRun(t, "x", tc.accepted); err != nil {
				t.Errorf("%s was refused: %v", tc.accepted, err)
			}
			_, err := s.dryRun(t, "x", tc.refused)
			field, complaint := strings.TrimSuffix(tc.field, ".*"), complaints()[tc.keyword]
			if found := causes(t, err); !has(found, field, complaint) {
				t.Errorf("%s was refused because of %q, want field %q and %q", tc.refused, found, field, complaint)
			}
		})
	}
}

// TestAPIEveryBoundHasACase keeps the test above complete.
func TestAPIEveryBoundHasACase(t *testing.T) {
	tested := bounds()
	walkSchema(t, func(path string, schema map[string]any) {
		for keyword := range complaints() {
			if schema[keyword] == nil || !strings.HasPrefix(path, "spec") {
				continue
			}
			if !slices.ContainsFunc(tested, func(b bound) bool { return b.field == path && b.keyword == keyword }) {
				t.Errorf("no case for %s of %s", keyword, path)
			}
		}
	})
}

// walkSchema visits every field of ours in the definition. It leaves out jobTemplate's fields of Kubernetes' own types.
func walkSchema(t *testing.T, visit func(path string, schema map[string]any)) {
	t.Helper()
	foreign := []string{"template", "env", "resources", "podFailurePolicy", "successPolicy"}
	var walk func(path string, schema map[string]any)
	walk = func(path string, schema map[string]any) {
		if name, ok := strings.CutPrefix(path, "spec.jobTemplate."); ok && slices.Contains(foreign, name) {
			return
		}
		visit(path, schema)
		properties, _ := schema["properties"].(map[string]any)
		for name, child := range properties {
			walk(strings.TrimPrefix(path+"."+name, "."), child.(map[string]any))
		}
		if values, ok := schema["additionalProperties"].(map[string]any); ok {
			walk(path+".*", values)
		}
	}
	walk("", rootSchema(t, definition(t)))
}
