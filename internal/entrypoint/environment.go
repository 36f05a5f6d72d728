// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"strings"

	"k8s.io/kubernetes/third_party/forked/golang/expansion"

	"github.com/paia-tech/hotstandbyjob/internal/protocol"
)

// environment is that of a launch's command: the container's, without what the launch unsets and with what it sets laid
// over. It also returns how $(VAR) is to be expanded in the command.
//
// As with the kubelet, a value may refer to variables that are set before it, and a reference to itself, or to one that is
// set later, stays as it is, whatever the container's environment has by that name.
func environment(base []string, p protocol.Payload) ([]string, func(string) string) {
	known := map[string]string{}
	for _, entry := range base {
		if name, value, ok := strings.Cut(entry, "="); ok {
			known[name] = value
		}
	}
	gone := map[string]bool{}
	for _, name := range p.UnsetEnv {
		gone[name] = true
	}
	for _, e := range p.Env {
		gone[e.Name] = true
	}
	for name := range gone {
		delete(known, name)
	}
	expand := expansion.MappingFuncFor(known)
	for _, e := range p.Env {
		known[e.Name] = expansion.Expand(e.Value, expand)
	}
	return overlay(base, gone, p.Env, known), func(text string) string { return expansion.Expand(text, expand) }
}

// overlay lists variables in the container's order, and then those that are set, in theirs.
func overlay(base []string, gone map[string]bool, set []protocol.EnvVar, values map[string]string) []string {
	result := make([]string, 0, len(base)+len(set))
	for _, entry := range base {
		if name, _, _ := strings.Cut(entry, "="); !gone[name] {
			result = append(result, entry)
		}
	}
	listed := map[string]bool{}
	for _, e := range set {
		if !listed[e.Name] {
			listed[e.Name] = true
			result = append(result, e.Name+"="+values[e.Name])
		}
	}
	return result
}

// value is that of a variable in an environment.
func value(env []string, name string) (string, bool) {
	for _, entry := range env {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			return v, true
		}
	}
	return "", false
}
