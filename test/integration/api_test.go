// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/paia-tech/hotstandbyjob/lab"
	"github.com/paia-tech/hotstandbyjob/lab/labtest"
	"github.com/paia-tech/hotstandbyjob/test/tool"
)

const (
	crdFile = "../../config/crd/apps.paia.tech_hotstandbyjobs.yaml"
	samples = "../../config/samples"

	// shorthand is the least that a pool needs, as YAML of a spec.
	shorthand = "jobTemplate: {image: busybox}"
)

func pools() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "apps.paia.tech", Version: "v1alpha1", Resource: "hotstandbyjobs"}
}

func definitions() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
}

// server is a real API server that knows HotStandbyJobs, and a namespace in it.
type server struct {
	lab       *lab.Lab
	namespace string
	client    dynamic.Interface
	dir       string
}

// newServer installs the definition of this source tree and waits until it is served.
func newServer(t *testing.T) server {
	t.Helper()
	s := server{lab: labtest.Shared(t), dir: t.TempDir()}
	s.namespace = labtest.Namespace(t, s.lab)
	config, err := s.lab.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	if s.client, err = dynamic.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	s.install(t, definition(t))
	return s
}

// definition reads the definition of this source tree.
func definition(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	data, err := os.ReadFile(crdFile)
	if err != nil {
		t.Fatal(err)
	}
	return object(t, string(data))
}

// object reads an object from YAML.
func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatalf("reading %s: %v", text, err)
	}
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal(data, &object.Object); err != nil { // whole numbers stay whole, as the server has them
		t.Fatalf("reading %s: %v", text, err)
	}
	return object
}

// install applies a definition and waits until its objects are served.
func (s server) install(t *testing.T, crd *unstructured.Unstructured) {
	t.Helper()
	if _, err := s.client.Resource(definitions()).Apply(t.Context(), crd.GetName(), crd,
		metav1.ApplyOptions{FieldManager: "test", Force: true}); err != nil {
		t.Fatalf("applying the definition: %v", err)
	}
	group, _, err := unstructured.NestedString(crd.Object, "spec", "group")
	if err != nil {
		t.Fatal(err)
	}
	gomega.NewWithT(t).Eventually(func() error {
		_, err := s.poolsOf(group).List(t.Context(), metav1.ListOptions{})
		return err
	}, 30*time.Second, 50*time.Millisecond).Should(gomega.Succeed())
}

// pools is where the pools of the test's namespace are.
func (s server) pools() dynamic.ResourceInterface { return s.poolsOf(pools().Group) }

// poolsOf is where those of a copy of the definition with another group are.
func (s server) poolsOf(group string) dynamic.ResourceInterface {
	resource := pools()
	resource.Group = group
	return s.client.Resource(resource).Namespace(s.namespace)
}

// pool is a pool whose spec is given in YAML.
func (s server) pool(t *testing.T, name, spec string) *unstructured.Unstructured {
	t.Helper()
	pool := &unstructured.Unstructured{Object: map[string]any{"spec": object(t, spec).Object}}
	pool.SetAPIVersion(pools().GroupVersion().String())
	pool.SetKind("HotStandbyJob")
	pool.SetName(name)
	pool.SetNamespace(s.namespace)
	return pool
}

// dryRun asks the server what it would make of a pool.
func (s server) dryRun(t *testing.T, name, spec string) (*unstructured.Unstructured, error) {
	t.Helper()
	return s.pools().Create(t.Context(), s.pool(t, name, spec), metav1.CreateOptions{
		DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
	})
}

// create creates a pool that the server must accept.
func (s server) create(t *testing.T, name, spec string) *unstructured.Unstructured {
	t.Helper()
	pool, err := s.pools().Create(t.Context(), s.pool(t, name, spec), metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("creating pool %s: %v", name, err)
	}
	return pool
}

// kubectl runs the lab's kubectl in the test's namespace and returns what it printed, and an error with what it
// complained about.
func (s server) kubectl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return tool.Output(exec.CommandContext(ctx, filepath.Join(s.lab.BinDir(), "kubectl"), append([]string{
		"--kubeconfig", s.lab.Kubeconfig(), "--namespace", s.namespace, "--cache-dir", s.dir,
	}, args...)...))
}

// apply applies a manifest as people do.
func (s server) apply(t *testing.T, manifest string) error {
	t.Helper()
	file := filepath.Join(t.TempDir(), "manifest.yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := s.kubectl(t, "apply", "--filename", file)
	return err
}

// causes are the reasons why the server refused an object, each "<field>: <message>".
func causes(t *testing.T, err error) []string {
	t.Helper()
	var status apierrors.APIStatus
	if !errors.As(err, &status) || !apierrors.IsInvalid(err) {
		t.Fatalf("the server said %v, want that the object is invalid", err)
	}
	var all []string
	for _, cause := range status.Status().Details.Causes {
		all = append(all, cause.Field+": "+cause.Message)
	}
	return all
}

// has tells whether one of the texts contains all of the parts.
func has(texts []string, parts ...string) bool {
	for _, text := range texts {
		found := true
		for _, part := range parts {
			found = found && strings.Contains(text, part)
		}
		if found {
			return true
		}
	}
	return false
}
