// SPDX-License-Identifier: Apache-2.0

// Command crdtrim finishes the CustomResourceDefinition that controller-gen wrote, in place. It takes Kubernetes' own
// descriptions out of the parts of jobTemplate that are Kubernetes' own types, without which the definition is too large
// for a client-side `kubectl apply`, and adds what markers on those types can't say. It changes no meaning beyond that.
package main

import (
	"errors"
	"fmt"
	"os"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "crdtrim:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("name one file: the CustomResourceDefinition to trim")
	}
	data, err := os.ReadFile(args[0])
	if err != nil {
		return fmt.Errorf("reading the definition: %w", err)
	}
	trimmed, err := trimFile(data)
	if err != nil {
		return fmt.Errorf("trimming %s: %w", args[0], err)
	}
	if err := os.WriteFile(args[0], trimmed, 0o644); err != nil { //nolint:gosec // a file of the source tree, for all to read
		return fmt.Errorf("writing the definition: %w", err)
	}
	return nil
}

// trimFile trims a definition in YAML. The result has no status, which is the server's, and begins as controller-gen's
// files do, so that a document can be appended to it.
func trimFile(data []byte) ([]byte, error) {
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(data, &crd); err != nil {
		return nil, fmt.Errorf("reading it as a CustomResourceDefinition: %w", err)
	}
	if err := trim(&crd); err != nil {
		return nil, err
	}
	out, err := yaml.Marshal(struct {
		apiextensionsv1.CustomResourceDefinition `json:",inline"`

		Status *struct{} `json:"status,omitempty"` // hides the one of the definition
	}{CustomResourceDefinition: crd})
	if err != nil {
		return nil, fmt.Errorf("writing it as YAML: %w", err)
	}
	return append([]byte("---\n"), out...), nil
}
