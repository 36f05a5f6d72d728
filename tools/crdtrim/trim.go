// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// foreign are the fields of spec.jobTemplate whose types are Kubernetes' own. They keep their own description, which is
// ours, and lose those of everything below them.
func foreign() []string {
	return []string{"template", "env", "resources", "podFailurePolicy", "successPolicy"}
}

// trim changes every version of the definition.
func trim(crd *apiextensionsv1.CustomResourceDefinition) error {
	for i := range crd.Spec.Versions {
		version := &crd.Spec.Versions[i]
		if version.Schema == nil || version.Schema.OpenAPIV3Schema == nil {
			return fmt.Errorf("version %s has no schema", version.Name)
		}
		for _, edit := range []func(*apiextensionsv1.JSONSchemaProps) error{
			trimDescriptions, boundLabels, boundName, allowCreationTimestamp, onlyWhatGoReads,
		} {
			if err := edit(version.Schema.OpenAPIV3Schema); err != nil {
				return fmt.Errorf("version %s: %w", version.Name, err)
			}
		}
	}
	return nil
}

func trimDescriptions(root *apiextensionsv1.JSONSchemaProps) error {
	for _, name := range foreign() {
		if err := change(root, "spec.jobTemplate."+name, func(field *apiextensionsv1.JSONSchemaProps) error {
			if field.Description == "" {
				return fmt.Errorf("spec.jobTemplate.%s has no description of its own: give it a comment", name)
			}
			own := field.Description
			everywhere(field, func(schema *apiextensionsv1.JSONSchemaProps) { schema.Description = "" })
			field.Description = own
			return nil
		}); err != nil {
			return err
		}
	}
	everywhere(root, func(schema *apiextensionsv1.JSONSchemaProps) { schema.Description = unwrap(schema.Description) })
	return nil
}

// unwrap joins the lines that a comment was wrapped into; `kubectl explain` wraps them again, and keeps every line break
// that it finds. A line that ends a sentence keeps its break: there the next begins a paragraph or an item of a list.
func unwrap(text string) string {
	lines := strings.Split(text, "\n")
	var out strings.Builder
	for i, line := range lines {
		out.WriteString(line)
		switch last := i == len(lines)-1; {
		case last:
		case line == "" || lines[i+1] == "" || strings.HasSuffix(line, ".") || strings.HasSuffix(line, ":"):
			out.WriteByte('\n')
		default:
			out.WriteByte(' ')
		}
	}
	return out.String()
}

// change applies edit to the field at path, property names with dots between. Schemas are held by value, so that a change
// has to be stored on the way back.
func change(
	schema *apiextensionsv1.JSONSchemaProps, path string, edit func(*apiextensionsv1.JSONSchemaProps) error,
) error {
	name, rest, deeper := strings.Cut(path, ".")
	child, ok := schema.Properties[name]
	if !ok {
		return fmt.Errorf("the schema has no field %q; it has %q", name, slices.Sorted(maps.Keys(schema.Properties)))
	}
	if !deeper {
		if err := edit(&child); err != nil {
			return err
		}
	} else if err := change(&child, rest, edit); err != nil {
		return err
	}
	schema.Properties[name] = child
	return nil
}

// everywhere applies edit to a schema and to all below it.
func everywhere(schema *apiextensionsv1.JSONSchemaProps, edit func(*apiextensionsv1.JSONSchemaProps)) {
	edit(schema)
	for name, child := range schema.Properties {
		everywhere(&child, edit)
		schema.Properties[name] = child
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		everywhere(schema.Items.Schema, edit)
	}
	if schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil {
		everywhere(schema.AdditionalProperties.Schema, edit)
	}
}
