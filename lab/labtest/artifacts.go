// SPDX-License-Identifier: Apache-2.0

package labtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/paia-tech/hotstandbyjob/lab"
)

// keep copies what helps to understand a failure, and says where it is.
func keep(ctx context.Context, t testing.TB, l *lab.Lab, namespace string) {
	t.Helper()
	dir, err := artifactsDir(namespace)
	if err != nil {
		t.Errorf("keep artifacts: %v", err)
		return
	}
	t.Logf("the objects of namespace %s and the logs of lab %s are in %s", namespace, l.Name(), dir)
	if err := errors.Join(
		os.CopyFS(filepath.Join(dir, "logs"), os.DirFS(l.Logs())),
		dump(ctx, l, namespace, dir),
	); err != nil {
		t.Errorf("keep artifacts: %v", err)
	}
}

func artifactsDir(namespace string) (string, error) {
	base := os.Getenv(ArtifactsVariable)
	if base == "" {
		return os.MkdirTemp("", "hsj-"+namespace+"-")
	}
	// Tests run in the folder of their package; a relative path would mean another one for each.
	if !filepath.IsAbs(base) {
		return "", fmt.Errorf("%s must be an absolute path, not %q", ArtifactsVariable, base)
	}
	dir := filepath.Join(base, namespace)
	return dir, os.MkdirAll(dir, 0o755)
}

// dump writes all objects of a namespace, events among them, one file for each resource.
func dump(ctx context.Context, l *lab.Lab, namespace, dir string) error {
	config, err := l.RESTConfig()
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("create client: %w", err)
	}
	resources, err := listable(config)
	if err != nil {
		return err
	}
	var failed []error
	for _, r := range resources {
		list, err := client.Resource(r).Namespace(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			failed = append(failed, fmt.Errorf("list %s: %w", r.Resource, err))
			continue
		}
		failed = append(failed, writeList(filepath.Join(dir, r.Resource+".yaml"), list))
	}
	return errors.Join(failed...)
}

func writeList(path string, list *unstructured.UnstructuredList) error {
	if len(list.Items) == 0 {
		return nil
	}
	raw, err := yaml.Marshal(list)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		return fmt.Errorf("write objects: %w", err)
	}
	return nil
}

// listable returns the resources that namespaces hold.
func listable(config *rest.Config) ([]schema.GroupVersionResource, error) {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("create client: %w", err)
	}
	lists, err := client.ServerPreferredNamespacedResources()
	if err != nil && len(lists) == 0 {
		return nil, fmt.Errorf("list resources: %w", err)
	}
	lists = discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list"}}, lists)
	found, err := discovery.GroupVersionResources(lists)
	if err != nil {
		return nil, fmt.Errorf("list resources: %w", err)
	}
	var resources []schema.GroupVersionResource
	for r := range found {
		resources = append(resources, r)
	}
	return resources, nil
}
