// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/test/docs"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// Every manifest in the documents, their examples and the samples is applied, by a server-side dry run that knows each
// field. Those of other projects' kinds, which the lab doesn't have, are checked in test/docs. Defect 29: an example that
// couldn't work.
func TestTheDocumentsManifestsAreAccepted(t *testing.T) {
	s := newServer(t)
	mapper := s.mapper(t)
	manifests, err := docs.Manifests(kit.Root())
	if err != nil {
		t.Fatal(err)
	}
	applied := 0
	for _, m := range manifests {
		kind := m.GroupVersionKind()
		mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if meta.IsNoMatchError(err) && m.Others() {
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", m, err)
			continue
		}
		if m.GetName() == "" { // as the server would by generateName, which an apply can't
			m.SetName(m.GetGenerateName() + "x")
			m.SetGenerateName("")
		}
		var client dynamic.ResourceInterface = s.client.Resource(mapping.Resource)
		if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
			m.SetNamespace(s.namespace)
			client = s.client.Resource(mapping.Resource).Namespace(s.namespace)
		}
		text, err := yaml.Marshal(m.Object)
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Patch(t.Context(), m.GetName(), types.ApplyPatchType, text, metav1.PatchOptions{
			FieldManager: "documents", Force: new(true), DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
		})
		if err != nil {
			t.Errorf("%s is refused: %v", m, err)
		}
		applied++
	}
	if applied < 15 {
		t.Errorf("applied %d manifests only", applied)
	}
}

// mapper knows the kinds that the server has.
func (s server) mapper(t *testing.T) meta.RESTMapper {
	t.Helper()
	config, err := s.lab.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := restmapper.GetAPIGroupResources(client)
	if err != nil {
		t.Fatal(err)
	}
	return restmapper.NewDiscoveryRESTMapper(groups)
}

// The quick start, step by step. What the webhook does is done by hand: another operator may have its own in this lab.
func TestTheDocumentsQuickStartWorks(t *testing.T) {
	t.Parallel()
	e := pushEnv(t)
	s := server{lab: e.Lab, namespace: e.Namespace, dir: t.TempDir()}
	kubectl := kubectlOf(t, e)
	manifests := blocks(document(t, "docs", "quickstart.md"), "yaml")
	if len(manifests) != 2 {
		t.Fatalf("the quick start has %d manifests, want the pool and the Job", len(manifests))
	}
	if err := s.apply(t, manifests[0]); err != nil {
		t.Fatal(err)
	}
	e.AwaitStatus("hello", 2, 0) // longer than a command may take
	kubectl("wait", "--for=condition=Ready", "hsj/hello", "--timeout=55s")
	launch := strings.Replace(manifests[1], "\nspec:\n", "\nspec:\n  managedBy: "+v1alpha1.ManagedByLauncher+"\n", 1)
	if err := s.apply(t, launch); err != nil {
		t.Fatal(err)
	}
	awaitJob(e, "hi", batchv1.JobComplete)
	kubectl("wait", "--for=condition=Complete", "job/hi", "--timeout=55s")
	if got := kubectl("logs", "job/hi"); got != "hello, Ada\n" {
		t.Errorf("it printed %q", got)
	}
	started := kubectl("get", "pods", "-l", "job-name=hi", "-o", `jsonpath={.items[*].metadata.annotations.hsj\.paia\.tech/start}`)
	if started != v1alpha1.StartWarm {
		t.Errorf("it started %q, want warm", started)
	}
}
