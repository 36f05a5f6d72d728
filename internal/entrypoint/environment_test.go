// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/paia-tech/hotstandbyjob/internal/protocol"
)

func TestEnvironment(t *testing.T) {
	base := []string{"PATH=/bin", "A=base", "HOME=/root"}
	for name, tc := range map[string]struct {
		set   []protocol.EnvVar
		unset []string
		want  []string
	}{
		"nothing changes":                      {nil, nil, base},
		"a variable is replaced":               {[]protocol.EnvVar{{Name: "A", Value: "1"}}, nil, []string{"PATH=/bin", "HOME=/root", "A=1"}},
		"one is unset":                         {nil, []string{"A", "B"}, []string{"PATH=/bin", "HOME=/root"}},
		"one is unset and set":                 {[]protocol.EnvVar{{Name: "A", Value: "1"}}, []string{"A"}, []string{"PATH=/bin", "HOME=/root", "A=1"}},
		"a value refers to the container's":    {[]protocol.EnvVar{{Name: "B", Value: "$(A)"}}, nil, append(base[:3:3], "B=base")},
		"to one before it":                     {[]protocol.EnvVar{{Name: "A", Value: "1"}, {Name: "B", Value: "$(A)2"}}, nil, []string{"PATH=/bin", "HOME=/root", "A=1", "B=12"}},
		"to one after it: it stays":            {[]protocol.EnvVar{{Name: "B", Value: "$(A)"}, {Name: "A", Value: "1"}}, nil, []string{"PATH=/bin", "HOME=/root", "B=$(A)", "A=1"}},
		"to itself: it stays":                  {[]protocol.EnvVar{{Name: "A", Value: "$(A)"}}, nil, []string{"PATH=/bin", "HOME=/root", "A=$(A)"}},
		"to one that is unset: it stays":       {[]protocol.EnvVar{{Name: "B", Value: "$(A)"}}, []string{"A"}, []string{"PATH=/bin", "HOME=/root", "B=$(A)"}},
		"to one that isn't there: it stays":    {[]protocol.EnvVar{{Name: "B", Value: "$(C)"}}, nil, append(base[:3:3], "B=$(C)")},
		"escaped":                              {[]protocol.EnvVar{{Name: "B", Value: "$$(A)"}}, nil, append(base[:3:3], "B=$(A)")},
		"set twice, the second by the first":   {[]protocol.EnvVar{{Name: "B", Value: "1"}, {Name: "B", Value: "$(B)2"}}, nil, append(base[:3:3], "B=12")},
		"a value that is expanded stays as is": {[]protocol.EnvVar{{Name: "B", Value: "$$(A)"}, {Name: "C", Value: "$(B)"}}, nil, append(base[:3:3], "B=$(A)", "C=$(A)")},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := environment(base, protocol.Payload{Env: tc.set, UnsetEnv: tc.unset})
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReferencesInTheCommandAreExpanded(t *testing.T) {
	c := commandOf(protocol.Payload{
		Command: []string{"$(TOOL)", "$$(TOOL)"}, Args: []string{"$(LATER)", "$(NONE)", "$TOOL"},
		Env: []protocol.EnvVar{{Name: "TOOL", Value: "tool"}, {Name: "LATER", Value: "later"}}, WorkingDir: "/w",
	}, nil)
	if diff := cmp.Diff([]string{"tool", "$(TOOL)", "later", "$(NONE)", "$TOOL"}, c.argv); diff != "" {
		t.Errorf("command (-want +got):\n%s", diff)
	}
	if c.dir != "/w" {
		t.Errorf("it starts in %q", c.dir)
	}
}
