// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"path/filepath"
	"testing"
)

func TestOptions(t *testing.T) {
	for name, tc := range map[string]struct {
		options Options
		wantErr bool
	}{
		"nothing is said":              {Options{}, false},
		"a name with a slash":          {Options{Name: "../x"}, true},
		"a name with capitals":         {Options{Name: "Lab"}, true},
		"a name that is too long":      {Options{Name: "a23456789012345678901234567890123456789012"}, true},
		"a kind of node that is not":   {Options{Node: "virtual"}, true},
		"less than no simulated nodes": {Options{SimNodes: -1}, true},
		"many simulated nodes":         {Options{Name: "big-1", Node: None, SimNodes: 1000}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := tc.options.complete(); (err != nil) != tc.wantErr {
				t.Errorf("error is %v, want one: %v", err, tc.wantErr)
			}
		})
	}
}

func TestStateFolder(t *testing.T) {
	t.Setenv(StateVariable, "")
	t.Setenv("XDG_STATE_HOME", "/s")
	if f, err := locate("a"); err != nil || f.dir != "/s/hotstandbyjob/lab/a" {
		t.Errorf("folder is %s (%v)", f.dir, err)
	}
	dir := t.TempDir()
	t.Setenv(StateVariable, dir)
	if f, err := locate("a"); err != nil || f.dir != filepath.Join(dir, "a") {
		t.Errorf("folder is %s (%v)", f.dir, err)
	}
}

func TestPortsOfLabsDiffer(t *testing.T) {
	t.Setenv(StateVariable, t.TempDir())
	seen := map[int]string{}
	for _, name := range []string{"a", "b", "c"} {
		f, err := locate(name)
		if err != nil {
			t.Fatal(err)
		}
		var s state
		if err := f.reserve(t.Context(), &s); err != nil {
			t.Fatal(err)
		}
		for _, port := range portList(s.Ports) {
			if other, ok := seen[port]; ok || port < firstPort || port > lastPort {
				t.Errorf("port %d of lab %s is also of lab %q, or out of range", port, name, other)
			}
			seen[port] = name
		}
	}
}
