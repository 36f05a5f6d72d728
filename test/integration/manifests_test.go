// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/lab/labtest"
)

// manifests is what `kubectl apply -k` would apply, as far as the tests look at it.
type manifests struct {
	role       rbacv1.ClusterRole
	deployment appsv1.Deployment
	namespace  corev1.Namespace
}

// render builds the default with the components that are named.
func (s server) render(t *testing.T, components ...string) manifests {
	t.Helper()
	root, err := filepath.Abs("../../config")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// kustomize wants relative paths.
	relative, err := filepath.Rel(dir, root)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "resources:\n- %s/default\ncomponents:\n", relative)
	for _, component := range components {
		fmt.Fprintf(&text, "- %s/components/%s\n", relative, component)
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := s.kubectl(t, "kustomize", dir)
	if err != nil {
		t.Fatal(err)
	}
	var m manifests
	found := objects(t, out)
	for name, into := range map[string]any{
		"Namespace " + chartSpace: &m.namespace, "Deployment hotstandbyjob-operator": &m.deployment, "ClusterRole hotstandbyjob-operator": &m.role,
	} {
		typed(t, found[name], into)
	}
	return m
}

// typed reads an object that must have no field that its type doesn't know.
func typed(t *testing.T, o *unstructured.Unstructured, into any) {
	t.Helper()
	if o == nil {
		t.Fatalf("there is no %T", into)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, into, true); err != nil {
		t.Fatal(err)
	}
}

// may tells whether a role has a verb on a resource of the core group.
func may(role rbacv1.ClusterRole, verb, resource string) bool {
	for _, rule := range role.Rules {
		if slices.Contains(rule.Resources, resource) && slices.Contains(rule.Verbs, verb) && slices.Contains(rule.APIGroups, "") {
			return true
		}
	}
	return false
}

func TestManifestsGrantTheLeast(t *testing.T) {
	s := newServer(t)
	for name, tc := range map[string]struct {
		components    []string
		exec, secrets bool
	}{
		"nothing to spare by default": {},
		"exec":                        {components: []string{"exec"}, exec: true},
		"Secrets":                     {components: []string{"redis-secrets"}, secrets: true},
		"both":                        {components: []string{"exec", "redis-secrets"}, exec: true, secrets: true},
	} {
		t.Run(name, func(t *testing.T) {
			m := s.render(t, tc.components...)
			c := parseArgs(t, m.deployment)
			if got := may(m.role, "create", "pods/exec"); got != tc.exec || c.ExecThroughAPIServer != tc.exec {
				t.Errorf("may exec: %v, does: %v, want %v", got, c.ExecThroughAPIServer, tc.exec)
			}
			if got := may(m.role, "get", "secrets"); got != tc.secrets || c.RedisPasswordSecrets != tc.secrets {
				t.Errorf("may read Secrets: %v, does: %v, want %v", got, c.RedisPasswordSecrets, tc.secrets)
			}
			for _, rule := range m.role.Rules {
				if slices.Contains(slices.Concat(rule.Verbs, rule.Resources, rule.APIGroups), "*") {
					t.Errorf("the rule %v grants more than what is named", rule)
				}
			}
		})
	}
}

// parseArgs reads the container's arguments as the operator does.
func parseArgs(t *testing.T, deployment appsv1.Deployment) config.Operator {
	t.Helper()
	c := config.DefaultOperator()
	flags := flag.NewFlagSet("operator", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	c.Bind(flags)
	if err := flags.Parse(deployment.Spec.Template.Spec.Containers[0].Args); err != nil {
		t.Fatalf("the operator doesn't take the Deployment's arguments: %v", err)
	}
	if err := c.Validate(); err != nil {
		t.Fatalf("the operator doesn't take the Deployment's arguments: %v", err)
	}
	return c
}

func TestManifestsPodIsRestricted(t *testing.T) {
	s := newServer(t)
	m := s.render(t)
	const enforce = "pod-security.kubernetes.io/enforce"
	if level := m.namespace.Labels[enforce]; level != "restricted" {
		t.Errorf("the namespace enforces the level %q, want restricted", level)
	}
	client := labtest.Client(t, s.lab)
	namespace, err := client.CoreV1().Namespaces().Get(t.Context(), s.namespace, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	namespace.Labels[enforce] = "restricted"
	if _, err := client.CoreV1().Namespaces().Update(t.Context(), namespace, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "operator"}, Spec: m.deployment.Spec.Template.Spec}
	pod.Spec.ServiceAccountName = "default"
	dryRun := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	if _, err := client.CoreV1().Pods(s.namespace).Create(t.Context(), pod, dryRun); err != nil {
		t.Errorf("the operator's pod was refused: %v", err)
	}
	// The level is in force: what the operator's pod does without is refused.
	pod.Spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = new(true)
	if _, err := client.CoreV1().Pods(s.namespace).Create(t.Context(), pod, dryRun); err == nil {
		t.Error("a pod that may gain privileges was accepted")
	}
	if !*s.render(t).deployment.Spec.Template.Spec.Containers[0].SecurityContext.ReadOnlyRootFilesystem {
		t.Error("the root filesystem is writable")
	}
}
