// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"sigs.k8s.io/yaml"

	"github.com/paia-tech/hotstandbyjob/test/tool"
)

// definitions says where the modules of tools/crds have the definitions of their groups.
var definitions = map[string]struct{ module, dir string }{
	"argoproj.io":           {"github.com/argoproj/argo-workflows/v4", "manifests/base/crds/full"},
	"keda.sh":               {"github.com/kedacore/keda/v2", "config/crd/bases"},
	"kueue.x-k8s.io":        {"sigs.k8s.io/kueue", "config/components/crd/bases"},
	"monitoring.coreos.com": {"github.com/prometheus-operator/prometheus-operator", "example/prometheus-operator-crd"},
}

// download gets a module in the version of tools/crds, and returns its folder.
func download(t *testing.T, module string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module)
	command.Dir = filepath.Join(root, "tools", "crds")
	out, err := command.Output()
	var m struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &m); err != nil || jsonErr != nil || m.Dir == "" {
		t.Fatalf("go mod download %s: %v: %s", module, err, m.Error)
	}
	return m.Dir
}

// definition is that of a manifest's kind.
func definition(t *testing.T, m Manifest) *apiextensions.CustomResourceDefinition {
	t.Helper()
	group := m.GroupVersionKind().Group
	at, ok := definitions[group]
	if !ok {
		t.Fatalf("%s: nobody knows the group %s: say in others_test.go which module has its definitions", m, group)
	}
	files, err := filepath.Glob(filepath.Join(download(t, at.module), filepath.FromSlash(at.dir), group+"_*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no definitions of %s in %s: %v", at.module, group, at.dir, err)
	}
	kind := "\n    kind: " + m.GetKind() + "\n"
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), kind) { // as they are indented everywhere: reading all of them takes long
			continue
		}
		crd, internal := &apiextensionsv1.CustomResourceDefinition{}, &apiextensions.CustomResourceDefinition{}
		if err := yaml.Unmarshal(text, crd); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if crd.Spec.Names.Kind != m.GetKind() {
			continue
		}
		if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(crd, internal, nil); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		return internal
	}
	t.Fatalf("%s: %s has no kind %s", m, at.module, m.GetKind())
	return nil
}

// schema is that of a manifest's version.
func schema(t *testing.T, m Manifest) *apiextensions.JSONSchemaProps {
	t.Helper()
	crd := definition(t, m)
	for _, v := range crd.Spec.Versions {
		if v.Name != m.GroupVersionKind().Version {
			continue
		}
		if !v.Served {
			t.Errorf("%s: version %s isn't served any more", m, v.Name)
		}
		if v.Schema != nil {
			return v.Schema.OpenAPIV3Schema
		}
		return crd.Spec.Validation.OpenAPIV3Schema // where all versions have the same
	}
	t.Fatalf("%s: there is no version %s", m, m.GroupVersionKind().Version)
	return nil
}

// Labs stay as they are: a manifest of another project is checked as an API server would, without one.
func TestManifestsOfOtherKindsAreValid(t *testing.T) {
	t.Parallel()
	for _, m := range all(t) {
		if !m.Others() {
			continue
		}
		t.Run(m.GetKind()+" in "+m.Group, func(t *testing.T) {
			t.Parallel()
			mustBeValid(t, m)
		})
	}
}

// The same for what the chart has for the Prometheus operator.
func TestTheChartsMonitorAndRulesAreValid(t *testing.T) {
	t.Parallel()
	rendered := tool.Render(t, tool.Helm4, "ops", "--set", "serviceMonitor.enabled=true,prometheusRule.enabled=true")
	objects, err := decode(rendered)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, o := range objects {
		if m := (Manifest{File: "charts/hotstandbyjob", Group: "the chart", Unstructured: o}); m.Others() {
			kinds = append(kinds, m.GetKind())
			mustBeValid(t, m)
		}
	}
	if slices.Sort(kinds); !slices.Equal(kinds, []string{"PrometheusRule", "ServiceMonitor"}) {
		t.Errorf("the chart has %v for others", kinds)
	}
}

// mustBeValid checks a manifest as an API server does that knows its kind.
func mustBeValid(t *testing.T, m Manifest) {
	t.Helper()
	props := schema(t, m)
	validator, _, err := validation.NewSchemaValidator(props)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range validation.ValidateCustomResource(nil, m.Object, validator) {
		t.Error(fault)
	}
	structural, err := structuralschema.NewStructural(props)
	if err != nil {
		t.Fatal(err)
	}
	unknown := pruning.PruneWithOptions(m.DeepCopy().Object, structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, field := range unknown {
		t.Errorf("unknown field %s", field)
	}
}
