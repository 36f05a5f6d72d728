// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

const (
	// What Kubernetes allows in a label's value, and more labels than anybody has: rules that compare labels must know how
	// much there is to compare, or the server refuses them as too expensive.
	labelValueMaxLength = 63
	labelsMax           = 64

	// A quantity is never so long; the length bounds what reading it may cost.
	quantityMaxLength = 64

	// What controller-gen writes for a quantity, and what may follow a number in it.
	generatedQuantity = `^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))` +
		`(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$`
	readableQuantity = `^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))` +
		`(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?[0-9]{1,2}))?$`

	readableTime = `^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$`

	// What metav1.MicroTime reads, whose schema is the same as that of metav1.Time.
	readableMicroTime = `^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}(Z|[+-][0-9]{2}:[0-9]{2})$`
)

// boundLabels gives the labels that the selector is compared with a size.
func boundLabels(root *apiextensionsv1.JSONSchemaProps) error {
	for _, path := range []string{"spec.selector.matchLabels", "spec.jobTemplate.template.metadata.labels"} {
		if err := change(root, path, func(labels *apiextensionsv1.JSONSchemaProps) error {
			if labels.AdditionalProperties == nil || labels.AdditionalProperties.Schema == nil {
				return fmt.Errorf("%s is not a map", path)
			}
			labels.MaxProperties = new(int64(labelsMax))
			labels.AdditionalProperties.Schema.MaxLength = new(int64(labelValueMaxLength))
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// boundName limits metadata.name to what leaves room for the names of Jobs. A rule on the name itself, for which there is
// no marker, and not one on the whole object: such a rule would be checked again at every write, and a pool that the
// Python operator left behind with a longer name could be neither reported on nor deleted.
func boundName(root *apiextensionsv1.JSONSchemaProps) error {
	return change(root, "metadata", func(meta *apiextensionsv1.JSONSchemaProps) error {
		meta.Properties = map[string]apiextensionsv1.JSONSchemaProps{"name": {
			Type: "string",
			XValidations: apiextensionsv1.ValidationRules{{
				Rule: "size(self) <= 55",
				Message: "metadata.name must have at most 55 characters: its Jobs are named <name>-w-<5 characters>, " +
					"and a Job's name has at most 63",
			}},
		}}
		return nil
	})
}

// allowCreationTimestamp lets the pod template's metadata have a creationTimestamp. It means nothing there, but many
// tools write `creationTimestamp: null` into every template, which would be refused as an unknown field.
func allowCreationTimestamp(root *apiextensionsv1.JSONSchemaProps) error {
	return change(root, "spec.jobTemplate.template.metadata", func(meta *apiextensionsv1.JSONSchemaProps) error {
		meta.Properties["creationTimestamp"] = apiextensionsv1.JSONSchemaProps{
			Type: "string", Format: "date-time", Nullable: true,
		}
		return nil
	})
}

// onlyWhatGoReads closes the gaps between what the generated schema accepts and what the Go types can read: a number that
// doesn't fit 32 bits where a number or a text may stand, a quantity such as 1e1.5, a time such as 2020-01-01t00:00:00z.
// One such object in any namespace would make the operator's whole list of pools unreadable.
func onlyWhatGoReads(root *apiextensionsv1.JSONSchemaProps) error {
	if err := change(root, "status.lastSyncTime", func(field *apiextensionsv1.JSONSchemaProps) error {
		field.Pattern = readableMicroTime
		return nil
	}); err != nil {
		return err
	}
	everywhere(root, func(schema *apiextensionsv1.JSONSchemaProps) {
		switch {
		case schema.XIntOrString && schema.Pattern == generatedQuantity:
			schema.Pattern = readableQuantity
			schema.MaxLength = new(int64(quantityMaxLength))
		case schema.XIntOrString && schema.Pattern == "":
			schema.Minimum = new(float64(math.MinInt32))
			schema.Maximum = new(float64(math.MaxInt32))
		case schema.Format == "date-time" && schema.Pattern == "":
			schema.Pattern = readableTime
		}
	})
	return nil
}
