// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// Defect 28: no probes, no metrics, no leader election, a ConfigMap that was missing, too many permissions, a CPU limit.
func TestTheDeploymentIsOperable(t *testing.T) {
	s := newServer(t)
	m := s.render(t)
	d := m.deployment
	c := d.Spec.Template.Spec.Containers[0]
	options := parseArgs(t, d)
	for what, ok := range map[string]bool{
		"a liveness probe":                    answers(c.LivenessProbe, c, options.HealthAddress),
		"a readiness probe":                   answers(c.ReadinessProbe, c, options.HealthAddress),
		"a port for metrics":                  hasPort(c, options.MetricsAddress) && !options.MetricsInsecure,
		"leader election":                     options.LeaderElection,
		"a new pod before the old one goes":   surges(d),
		"no CPU limit":                        c.Resources.Limits.Cpu().IsZero() && !c.Resources.Requests.Cpu().IsZero(),
		"a limit to its memory":               !c.Resources.Limits.Memory().IsZero(),
		"a ConfigMap that need not be there":  len(c.EnvFrom) == 2 && *c.EnvFrom[0].ConfigMapRef.Optional,
		"a Secret that need not be there":     len(c.EnvFrom) == 2 && *c.EnvFrom[1].SecretRef.Optional,
		"no permission to exec":               !may(m.role, "create", "pods/exec") && !may(m.role, "get", "pods/exec"),
		"no permission to read logs":          !may(m.role, "get", "pods/log"),
		"no permission to read Secrets":       !may(m.role, "get", "secrets"),
		"no permission to make its own pools": !slices.ContainsFunc(m.role.Rules, makesPools),
	} {
		if !ok {
			t.Errorf("the operator's manifests should have %s", what)
		}
	}
}

func answers(p *corev1.Probe, c corev1.Container, address string) bool {
	return p != nil && p.HTTPGet != nil && hasPort(c, address) && slices.ContainsFunc(c.Ports, func(port corev1.ContainerPort) bool {
		return port.Name == p.HTTPGet.Port.StrVal && strings.HasSuffix(address, ":"+portText(port))
	})
}

func hasPort(c corev1.Container, address string) bool {
	return slices.ContainsFunc(c.Ports, func(port corev1.ContainerPort) bool { return strings.HasSuffix(address, ":"+portText(port)) })
}

func portText(port corev1.ContainerPort) string { return strconv.Itoa(int(port.ContainerPort)) }

func makesPools(rule rbacv1.PolicyRule) bool {
	return slices.Contains(rule.Resources, "hotstandbyjobs") && (slices.Contains(rule.Verbs, "create") || slices.Contains(rule.Verbs, "delete"))
}

func surges(d appsv1.Deployment) bool {
	s := d.Spec.Strategy
	return s.Type == appsv1.RollingUpdateDeploymentStrategyType && s.RollingUpdate.MaxUnavailable.IntValue() == 0 && s.RollingUpdate.MaxSurge.IntValue() > 0
}

// Defect 29: an example that couldn't work, commands that were wrong, variables that nobody read.
func TestTheDocumentsSayWhatIs(t *testing.T) {
	readme := document(t, "README.md")
	makefile := document(t, "Makefile")
	for _, command := range regexp.MustCompile(`(?m)\bmake ([a-z-]+)`).FindAllStringSubmatch(strings.Join(blocks(readme, "sh"), "\n"), -1) {
		if !strings.Contains(makefile, "\n"+command[1]+":") {
			t.Errorf("README.md says `make %s`, which the Makefile doesn't have", command[1])
		}
	}
	for _, path := range regexp.MustCompile(`(?m)-[kf] ((?:config|docs)/[a-z/.-]+)`).FindAllStringSubmatch(readme, -1) {
		if _, err := os.Stat(filepath.Join(kit.Root(), path[1])); err != nil {
			t.Errorf("README.md names a file that isn't there: %v", err)
		}
	}
	expectVariables(t, document(t, "docs", "operating.md"))
}

// expectVariables checks that a document names each variable that the operator reads, and no other.
func expectVariables(t *testing.T, text string) {
	t.Helper()
	read := map[string]bool{}
	c := config.DefaultOperator()
	if err := c.Environment(func(name string) (string, bool) { read[name] = true; return "", false }); err != nil {
		t.Fatal(err)
	}
	for name := range read {
		if !strings.Contains(text, name) {
			t.Errorf("docs/operating.md doesn't name %s, which is read", name)
		}
	}
	for _, name := range regexp.MustCompile(`\b(?:REDIS|SYNC|HSJ|ENABLE|LOG)_[A-Z_]+\b`).FindAllString(text, -1) {
		if !read[name] {
			t.Errorf("docs/operating.md names %s, which nobody reads", name)
		}
	}
}

func document(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{kit.Root()}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// blocks are a document's blocks of code in a language.
func blocks(text, language string) []string {
	var all []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}
