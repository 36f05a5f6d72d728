// SPDX-License-Identifier: Apache-2.0

package drive

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// Scheme has all types that are used here.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, apiextensionsv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("build the scheme: %w", err)
		}
	}
	return scheme, nil
}

// Define applies the definition of HotStandbyJobs that a source tree has. The API server serves it a moment later.
func Define(ctx context.Context, c client.Client, root string) error {
	text, err := os.ReadFile(filepath.Join(root, "config", "crd", "apps.paia.tech_hotstandbyjobs.yaml"))
	if err != nil {
		return fmt.Errorf("read the CRD: %w", err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(text, crd); err != nil {
		return fmt.Errorf("read the CRD: %w", err)
	}
	//nolint:staticcheck // Apply wants apply configurations, which a file isn't
	if err := c.Patch(ctx, crd, client.Apply, client.FieldOwner("hsj-tests"), client.ForceOwnership); err != nil {
		return fmt.Errorf("apply the CRD: %w", err)
	}
	return nil
}
