// SPDX-License-Identifier: Apache-2.0

package system

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakeHost is a Debian on which some packages are installed.
type fakeHost struct {
	installed []string
	stale     bool // whether apt's list of packages is too old
	broken    bool // whether apt cannot install anything
	ran       []string
}

func (f *fakeHost) run(_ context.Context, name string, args ...string) (string, error) {
	if name == "dpkg-query" {
		var out strings.Builder
		for _, p := range f.installed {
			out.WriteString(p + " installed\n")
		}
		out.WriteString("removed-one config-files\n")
		return out.String(), errors.New("exit status 1")
	}
	f.ran = append(f.ran, strings.Join(args, " "))
	if args[0] == "update" {
		f.stale = false
		return "", nil
	}
	if f.stale || f.broken {
		return "E: Unable to locate package\n", errors.New("exit status 100")
	}
	return "", nil
}

func TestEnsure(t *testing.T) {
	const install = "install --yes --no-install-recommends "
	for name, tc := range map[string]struct {
		fake     fakeHost
		notRoot  bool
		notHave  string
		wantRan  []string
		wantErr  string
		wantSaid string
	}{
		"nothing is missing":      {fake: fakeHost{installed: []string{"nftables", "removed-one"}}},
		"one is missing":          {wantRan: []string{install + "nftables removed-one"}, wantSaid: "nftables removed-one"},
		"one was removed":         {fake: fakeHost{installed: []string{"nftables"}}, wantRan: []string{install + "removed-one"}, wantSaid: "removed-one"},
		"the list is too old":     {fake: fakeHost{stale: true, installed: []string{"removed-one"}}, wantRan: []string{install + "nftables", "update", install + "nftables"}, wantSaid: "nftables"},
		"apt cannot":              {fake: fakeHost{broken: true, installed: []string{"removed-one"}}, wantRan: []string{install + "nftables", "update", install + "nftables"}, wantErr: "Unable to locate package", wantSaid: "nftables"},
		"not root":                {notRoot: true, wantErr: "run as root: apt-get " + install + "nftables removed-one"},
		"not a Debian":            {notHave: "dpkg-query", wantSaid: "not a Debian"},
		"a Debian without apt":    {notHave: "apt-get", wantErr: "run as root: apt-get"},
		"others are not asked to": {fake: fakeHost{installed: []string{"nftables", "removed-one", "gcc"}}},
	} {
		t.Run(name, func(t *testing.T) {
			h := host{has: func(p string) bool { return p != tc.notHave }, root: !tc.notRoot, run: tc.fake.run}
			var said strings.Builder
			err := h.ensure(t.Context(), &said, []string{"removed-one", "nftables"})
			if (err == nil) != (tc.wantErr == "") || (err != nil && !strings.Contains(err.Error(), tc.wantErr)) {
				t.Errorf("error is %v, want one with %q", err, tc.wantErr)
			}
			if diff := cmp.Diff(tc.wantRan, tc.fake.ran); diff != "" {
				t.Errorf("apt-get was called differently (-want +got):\n%s", diff)
			}
			if !strings.Contains(said.String(), tc.wantSaid) || (tc.wantSaid == "" && said.Len() > 0) {
				t.Errorf("said %q, want %q", said.String(), tc.wantSaid)
			}
		})
	}
}
