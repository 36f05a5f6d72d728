// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"
)

// definition is a definition with everything that trim looks for. labels is put where the template's labels are.
func definition(labels string) string {
	return `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: things.example.com
spec:
  group: example.com
  names: {kind: Thing, plural: things}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        description: root
        type: object
        properties:
          metadata: {type: object}
          status: {type: object, properties: {lastSyncTime: {type: string, format: date-time}}}
          spec:
            description: spec
            type: object
            properties:
              selector:
                type: object
                properties:
                  matchLabels: {type: object, additionalProperties: {type: string}}
              jobTemplate:
                description: job
                type: object
                properties:
                  description: {description: a field of that name, type: string}
                  env: {description: own env, type: array, items: {description: foreign, type: string}}
                  resources:
                    description: own resources
                    type: object
                    additionalProperties: {description: foreign, type: string}
                  podFailurePolicy:
                    description: own failure
                    type: object
                    properties:
                      port: {x-kubernetes-int-or-string: true}
                      memory: {x-kubernetes-int-or-string: true, pattern: '` + generatedQuantity + `'}
                      own: {x-kubernetes-int-or-string: true, pattern: ^a$}
                      time: {type: string, format: date-time}
                  successPolicy: {description: own success, type: object}
                  template:
                    description: own template
                    type: object
                    properties:
                      metadata:
                        description: foreign
                        type: object
                        properties:
                          labels: ` + labels + `
                      description: {description: foreign, type: string}
                      list:
                        type: array
                        items: {type: object, properties: {x: {description: foreign, type: string}}}
`
}

const labelMap = `{description: foreign, type: object, additionalProperties: {type: string}}`

func TestTrimKeepsOurDescriptionsAndDropsKubernetes(t *testing.T) {
	out, err := trimFile([]byte(definition(labelMap)))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(out, []byte("foreign")) {
		t.Errorf("a description of Kubernetes' own is left:\n%s", out)
	}
	for _, own := range []string{
		"root", "spec", "job", "a field of that name", "own env", "own resources", "own failure", "own success", "own template",
	} {
		if !bytes.Contains(out, []byte("description: "+own+"\n")) {
			t.Errorf("our description %q is gone", own)
		}
	}
	if bytes.Contains(out, []byte("\nstatus:")) {
		t.Error("the file has a status, which is the server's")
	}
}

func TestTrimKeepsFieldsAndAddsBounds(t *testing.T) {
	out, err := trimFile([]byte(definition(labelMap)))
	if err != nil {
		t.Fatal(err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(out, &crd); err != nil {
		t.Fatal(err)
	}
	spec := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
	template := spec.Properties["jobTemplate"].Properties["template"]
	if _, ok := template.Properties["description"]; !ok {
		t.Error("a field named description was taken for a description")
	}
	if _, ok := template.Properties["list"].Items.Schema.Properties["x"]; !ok {
		t.Error("a field below a list is gone")
	}
	if !template.Properties["metadata"].Properties["creationTimestamp"].Nullable {
		t.Error("the template's metadata refuses creationTimestamp: null")
	}
	for name, labels := range map[string]apiextensionsv1.JSONSchemaProps{
		"matchLabels": spec.Properties["selector"].Properties["matchLabels"],
		"labels":      template.Properties["metadata"].Properties["labels"],
	} {
		if labels.MaxProperties == nil || *labels.MaxProperties != labelsMax {
			t.Errorf("%s: maxProperties is %v, want %d", name, labels.MaxProperties, labelsMax)
		}
		if l := labels.AdditionalProperties.Schema.MaxLength; l == nil || *l != labelValueMaxLength {
			t.Errorf("%s: maxLength of a value is %v, want %d", name, l, labelValueMaxLength)
		}
	}
}

func TestTrimLetsNothingInThatGoCannotRead(t *testing.T) {
	out, err := trimFile([]byte(definition(labelMap)))
	if err != nil {
		t.Fatal(err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(out, &crd); err != nil {
		t.Fatal(err)
	}
	spec := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
	fields := spec.Properties["jobTemplate"].Properties["podFailurePolicy"].Properties
	if port := fields["port"]; port.Maximum == nil || *port.Maximum != 1<<31-1 || port.Minimum == nil || *port.Minimum != -1<<31 {
		t.Errorf("a number or text is from %v to %v, want 32 bits", port.Minimum, port.Maximum)
	}
	if own := fields["own"]; own.Pattern != "^a$" {
		t.Errorf("the pattern of a field of ours became %s", own.Pattern)
	}
	if at := fields["time"]; at.Pattern != readableTime {
		t.Errorf("the pattern of a time is %q", at.Pattern)
	}
	if name := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["metadata"].Properties["name"]; len(name.XValidations) != 1 {
		t.Errorf("metadata.name has the rules %v, want one", name.XValidations)
	}
	quantity := regexp.MustCompile(fields["memory"].Pattern)
	for text, want := range map[string]bool{
		"1": true, "0.5": true, "100m": true, "1.5Gi": true, "1e3": true, "1E-3": true, "+.5k": true,
		"1e1.5": false, "1e999": false, "1e": false, "1GiB": false, "": false, "x": false,
	} {
		if got := quantity.MatchString(text); got != want {
			t.Errorf("quantity %q is accepted: %v, want %v", text, got, want)
		}
		if _, err := resource.ParseQuantity(text); want && err != nil {
			t.Errorf("quantity %q is accepted, but can't be read: %v", text, err)
		}
	}
}

func TestUnwrap(t *testing.T) {
	for in, want := range map[string]string{
		"":                                     "",
		"one line":                             "one line",
		"wrapped in\nthe middle":               "wrapped in the middle",
		"x says which.\na: one.\nb: two,\nor.": "x says which.\na: one.\nb: two, or.",
		"Either of:\na\n\nParagraph.":          "Either of:\na\n\nParagraph.",
	} {
		if got := unwrap(in); got != want {
			t.Errorf("unwrap(%q) is %q, want %q", in, got, want)
		}
	}
}

func TestTrimTwiceIsTrimOnce(t *testing.T) {
	once, err := trimFile([]byte(definition(labelMap)))
	if err != nil {
		t.Fatal(err)
	}
	twice, err := trimFile(once)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(once, twice) {
		t.Errorf("the second run changed the file:\n%s", twice)
	}
}

func TestTrimRefusesWhatItDoesNotUnderstand(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"no such field": {
			strings.Replace(definition(labelMap), "podFailurePolicy:", "podFailPolicy:", 1),
			`the schema has no field "podFailurePolicy"`,
		},
		"labels that are no map": {definition(`{type: string}`), "labels is not a map"},
		"a foreign field without a comment": {
			strings.Replace(definition(labelMap), "description: own env, ", "", 1),
			"spec.jobTemplate.env has no description of its own",
		},
		"no schema":          {"spec: {versions: [{name: v1}]}", "version v1 has no schema"},
		"not a definition":   {"spec: {replicas: 3}", "unknown field"},
		"not YAML, but tabs": {"\tx", "reading it as a CustomResourceDefinition"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := trimFile([]byte(tc.in))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error is %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestRunWritesTheFile(t *testing.T) {
	file := t.TempDir() + "/crd.yaml"
	if err := os.WriteFile(file, []byte(definition(labelMap)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{file}); err != nil {
		t.Fatal(err)
	}
	out, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(out, []byte("foreign")) || !bytes.HasPrefix(out, []byte("---\n")) {
		t.Errorf("the file wasn't trimmed:\n%s", out)
	}
	for name, args := range map[string][]string{"no file": nil, "a file that isn't there": {file + "x"}} {
		if err := run(args); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
