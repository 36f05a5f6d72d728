// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/paia-tech/hotstandbyjob/"

// layer is what a package, and those below it, may import beyond the standard library.
type layer struct {
	// pure packages do no I/O and read no clock: of the standard library they may import what computes, and nothing else.
	pure bool
	// own are packages of this module and of api, without the module's path.
	own []string
	// others begin the paths of other modules' packages.
	others []string
}

// Types of Kubernetes' objects, and what computes with them.
func objects() []string {
	return []string{"k8s.io/api/", "k8s.io/apimachinery/pkg/", "k8s.io/utils/ptr"}
}

// What a command of the plugin is made of.
func commandLine() []string {
	return append(objects(), "github.com/spf13/cobra", "github.com/spf13/pflag", "k8s.io/cli-runtime/pkg/genericiooptions",
		"k8s.io/cli-runtime/pkg/printers", "k8s.io/klog/v2", "k8s.io/utils/clock")
}

// layers has every package of the operator; imports go downward only.
func layers() map[string]layer {
	const logr = "github.com/go-logr/logr"
	kubernetes := []string{"k8s.io/", "sigs.k8s.io/controller-runtime", logr}
	return map[string]layer{
		"cmd/kubectl-hsj": {own: []string{"internal/plugin"}, others: []string{"k8s.io/cli-runtime/pkg/genericiooptions", "k8s.io/utils/clock"}},

		"cmd/operator": {own: []string{"internal/config", "internal/operator"}, others: kubernetes},
		"cmd/standby":  {own: []string{"internal/entrypoint"}},

		"internal/operator": {
			own: []string{
				"api/v1alpha1", "internal/access", "internal/certificate", "internal/config", "internal/controller",
				"internal/controller/pool", "internal/fit", "internal/gateway", "internal/journal", "internal/kube", "internal/launch",
				"internal/leader", "internal/metric", "internal/object", "internal/scaler", "internal/standby", "internal/tally",
				"internal/trace", "internal/ui", "internal/webhook",
			},
			others: append(kubernetes, "github.com/KimMachineGun/automemlimit/memlimit", "github.com/prometheus/client_golang/", "go.opentelemetry.io/otel"),
		},
		// What happens to launches and pools, for metrics and journal.
		"internal/tally": {
			own: []string{
				"api/v1alpha1", "internal/journal", "internal/launch", "internal/metric", "internal/standby", "internal/trace",
			},
			others: append(objects(), "k8s.io/utils/clock"),
		},
		"internal/trace": {own: []string{"internal/journal"}, others: []string{"go.opentelemetry.io/otel", "k8s.io/utils/clock"}},
		"internal/controller": {
			own: []string{
				"api/v1alpha1", "internal/config", "internal/controller/pool", "internal/controller/takeover", "internal/object",
				"internal/probe",
			},
			others: kubernetes,
		},
		// Controllers never import one another: they meet in objects.
		"internal/controller/pool": {
			own: []string{
				"api/v1alpha1", "internal/condition", "internal/kube", "internal/metric", "internal/object", "internal/pool",
				"internal/probe", "internal/signal", "internal/standby", "internal/unit",
			},
			others: kubernetes,
		},
		"internal/controller/takeover": {own: []string{"api/v1alpha1", "internal/kube"}, others: kubernetes},

		"internal/launch": {
			own:    []string{"api/v1alpha1", "internal/fit", "internal/protocol", "internal/standby"},
			others: append(objects(), "k8s.io/client-go/", "k8s.io/klog/v2", "k8s.io/kubernetes/pkg/controller", "k8s.io/utils/clock", logr),
		},
		"internal/gateway": {
			own: []string{
				"api/v1alpha1", "client/launcherv1", "client/launcherv1/launcherv1connect", "internal/access",
				"internal/protocol/standbyv1", "internal/protocol/standbyv1/standbyv1connect", "internal/serving", "internal/standby",
			},
			others: append(objects(), "connectrpc.com/connect", "google.golang.org/protobuf/", "golang.org/x/sync/", "k8s.io/client-go/", "k8s.io/utils/clock"),
		},
		"internal/ui": {
			own:    []string{"api/v1alpha1", "internal/access", "internal/journal", "internal/serving"},
			others: append(objects(), "k8s.io/utils/clock"),
		},
		"internal/access": {
			own:    []string{"api/v1alpha1"},
			others: append(objects(), "golang.org/x/sync/", "k8s.io/client-go/kubernetes", "k8s.io/utils/clock"),
		},
		"internal/serving": {},
		"internal/scaler": {
			own: []string{
				"api/v1alpha1", "internal/journal", "internal/protocol/externalscaler",
				"internal/protocol/externalscaler/externalscalerconnect", "internal/serving",
			},
			others: append(objects(), "connectrpc.com/connect", "k8s.io/utils/clock"),
		},
		"internal/webhook": {
			own: []string{"api/v1alpha1"},
			others: append(objects(), "k8s.io/client-go/kubernetes", "k8s.io/client-go/tools/events", "k8s.io/client-go/util/workqueue",
				"k8s.io/utils/clock", "sigs.k8s.io/controller-runtime/pkg/"),
		},
		"internal/certificate": {others: append(kubernetes, "github.com/open-policy-agent/cert-controller/", "golang.org/x/sync/")},
		"internal/leader":      {others: append(objects(), "sigs.k8s.io/controller-runtime/pkg/client", logr)},
		// The only writer of claims.
		"internal/standby": {
			own:    []string{"api/v1alpha1", "internal/protocol"},
			others: append(objects(), "k8s.io/client-go/kubernetes", "k8s.io/client-go/rest", "k8s.io/utils/clock", logr),
		},

		"internal/probe": {
			own: []string{"api/v1alpha1", "internal/signal"},
			others: append(objects(), "k8s.io/client-go/", "k8s.io/klog/v2", "k8s.io/streaming/", "k8s.io/utils/clock",
				"github.com/redis/go-redis/v9", "golang.org/x/sync/"),
		},
		"internal/kube":    {own: []string{"api/v1alpha1"}, others: append(objects(), "sigs.k8s.io/controller-runtime/pkg/")},
		"internal/metric":  {own: []string{"api/v1alpha1"}, others: append(kubernetes, "github.com/prometheus/client_golang/")},
		"internal/journal": {others: append(objects(), "k8s.io/utils/clock")},
		"internal/config":  {},

		// The plugin. It has a few small clients of its own: client-go's typed ones, discovery and cli-runtime's ConfigFlags set
		// up so much when a process starts that a launch would take twice as long.
		"internal/plugin": {
			own: []string{
				"internal/plugin/cluster", "internal/plugin/convert", "internal/plugin/explain", "internal/plugin/run", "internal/plugin/steer",
				"internal/plugin/top", "internal/plugin/ui",
			},
			others: commandLine(),
		},
		"internal/plugin/cluster": {own: []string{"api/v1alpha1"}, others: append(commandLine(), "k8s.io/client-go/rest", "k8s.io/client-go/tools/clientcmd", "sigs.k8s.io/yaml")},
		"internal/plugin/run":     {own: []string{"api/v1alpha1", "internal/object", "internal/plugin/cluster"}, others: append(commandLine(), "k8s.io/client-go/rest")},
		"internal/plugin/steer":   {own: []string{"api/v1alpha1", "internal/plugin/cluster"}, others: commandLine()},
		"internal/plugin/convert": {own: []string{"api/v1alpha1", "internal/plugin/cluster"}, others: append(commandLine(), "github.com/pmezard/go-difflib/difflib", "sigs.k8s.io/yaml")},
		"internal/plugin/page": {
			own:    []string{"internal/plugin/cluster"},
			others: append(commandLine(), "k8s.io/client-go/rest", "k8s.io/client-go/tools/portforward", "k8s.io/client-go/transport/spdy", "k8s.io/streaming/pkg/httpstream"),
		},
		"internal/plugin/explain": {own: []string{"api/v1alpha1", "internal/object", "internal/plugin/cluster", "internal/plugin/page"}, others: commandLine()},
		"internal/plugin/top": {
			own:    []string{"api/v1alpha1", "internal/plugin/cluster", "internal/plugin/explain", "internal/plugin/page"},
			others: append(commandLine(), "golang.org/x/term", "k8s.io/client-go/tools/cache"),
		},
		"internal/plugin/ui": {own: []string{"internal/plugin/cluster", "internal/plugin/page"}, others: commandLine()},

		// What runs in the pods is small: it has no client of the cluster.
		"internal/entrypoint": {
			own:    []string{"internal/protocol"},
			others: []string{"github.com/fsnotify/fsnotify", "golang.org/x/sys/unix", "k8s.io/kubernetes/third_party/forked/golang/expansion"},
		},
		"internal/protocol":                            {},
		"internal/protocol/standbyv1":                  {others: []string{"google.golang.org/protobuf/"}},
		"internal/protocol/standbyv1/standbyv1connect": {own: []string{"internal/protocol/standbyv1"}, others: []string{"connectrpc.com/connect"}},
		"internal/protocol/externalscaler":             {others: []string{"google.golang.org/protobuf/"}},
		"internal/protocol/externalscaler/externalscalerconnect": {
			own: []string{"internal/protocol/externalscaler"}, others: []string{"connectrpc.com/connect"},
		},

		"internal/fit":       {pure: true, own: []string{"internal/protocol"}, others: append(objects(), "k8s.io/kubernetes/pkg/apis/core/v1")},
		"internal/object":    {pure: true, own: []string{"api/v1alpha1"}, others: objects()},
		"internal/unit":      {pure: true, own: []string{"api/v1alpha1", "internal/object", "internal/pool", "internal/signal"}, others: objects()},
		"internal/condition": {pure: true, own: []string{"api/v1alpha1", "internal/pool"}, others: []string{"k8s.io/apimachinery/pkg/"}},
		"internal/pool":      {pure: true},
		"internal/signal":    {pure: true},

		"internal/arch": {},
	}
}

// impure are the parts of the standard library that pure packages keep away from.
func impure() []string {
	return []string{
		"context", "crypto/rand", "database/", "expvar", "io/", "log", "math/rand", "net", "os", "plugin", "runtime", "syscall",
		"testing",
	}
}

func TestLayers(t *testing.T) {
	seen := map[string]bool{}
	for pkg, imports := range imported(t) {
		name := strings.TrimPrefix(pkg, module)
		if begins(name, []string{"test", "demo", "bench"}) { // they use the operator, and are no part of it
			continue
		}
		seen[name] = true
		allowed, ok := layers()[name]
		if !ok {
			t.Errorf("%s is in no layer: add it to this test, and to the design's list of layers", name)
			continue
		}
		for _, path := range imports {
			if reason := allowed.refuses(path); reason != "" {
				t.Errorf("%s imports %s: %s", name, path, reason)
			}
		}
	}
	for _, must := range []string{"internal/pool", "internal/object", "internal/condition", "internal/controller"} {
		if !seen[must] {
			t.Errorf("%s was not looked at", must)
		}
	}
}

// imported lists the packages of this module, each with what its code without tests imports.
func imported(t *testing.T) map[string][]string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-e", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, module+"...")
	out, err := command.Output()
	if err != nil {
		t.Fatalf("listing packages: %v", err)
	}
	packages := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if own(fields[0]) {
			packages[fields[0]] = fields[1:]
		}
	}
	return packages
}

// own tells whether a package is of the module that this test is about; api, client and lab are modules of their own.
func own(path string) bool {
	name, ok := strings.CutPrefix(path, module)
	return ok && !begins(name, []string{"api", "client", "lab"})
}

// refuses returns why a package of this layer must not import a path, or "".
func (l layer) refuses(path string) string {
	if name, ok := strings.CutPrefix(path, module); ok {
		if slices.Contains(l.own, name) {
			return ""
		}
		return "imports go downward only, and this one isn't in the layer's list"
	}
	if first, _, _ := strings.Cut(path, "/"); !strings.Contains(first, ".") {
		if l.pure && begins(path, impure()) {
			return "a pure package does no I/O"
		}
		return ""
	}
	if begins(path, l.others) {
		return ""
	}
	return "this layer must not depend on it"
}

// begins tells whether a path is one of the prefixes or below one.
func begins(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool {
		return path == prefix || strings.HasPrefix(path, strings.TrimSuffix(prefix, "/")+"/")
	})
}

func TestRefuses(t *testing.T) {
	pure := layer{pure: true, own: []string{"api/v1alpha1"}, others: objects()}
	for path, want := range map[string]bool{
		"slices": false, "time": false, "net": true, "net/http": true, "os": true, "context": true, "iter": false, "io/fs": true,
		"k8s.io/api/core/v1": false, "k8s.io/apimachinery/pkg/types": false, "k8s.io/client-go/rest": true,
		module + "api/v1alpha1": false, module + "internal/kube": true,
	} {
		if got := pure.refuses(path) != ""; got != want {
			t.Errorf("a pure layer refuses %s: %v, want %v", path, got, want)
		}
	}
}
