// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	for title, tc := range map[string]struct {
		args  []string
		env   map[string]string
		want  options
		fault string
	}{
		"nothing":          {want: options{name: "demo"}},
		"make's variables": {env: map[string]string{"DEMO": "stay", "CLUSTER": "current"}, want: options{name: "demo", stay: true, cluster: "current"}},
		"flags": {
			args: []string{"--stay", "--cluster=current", "--operator-image=o", "--worker-image=w", "--record=r.svg", "--name=n"},
			want: options{name: "n", stay: true, cluster: "current", operatorImage: "o", workerImage: "w", record: "r.svg"},
		},
		"a flag overrides the environment": {args: []string{"--stay=false"}, env: map[string]string{"DEMO": "stay"}, want: options{name: "demo"}},
		"a typo in DEMO":                   {env: map[string]string{"DEMO": "sty"}, fault: `DEMO is "sty"`},
		"a typo in CLUSTER":                {env: map[string]string{"CLUSTER": "kind"}, fault: `the cluster is "kind"`},
		"an argument":                      {args: []string{"up"}, fault: `unexpected argument "up"`},
	} {
		t.Run(title, func(t *testing.T) {
			got, err := parse(tc.args, func(name string) string { return tc.env[name] })
			if tc.fault != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fault) {
					t.Fatalf("error is %v, want %q", err, tc.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(options{})); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOnlyOneDemoAtATime(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	unlock, err := lockName("x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockName("x"); err == nil || !strings.Contains(err.Error(), "another demo runs") {
		t.Errorf("the second got %v", err)
	}
	other, err := lockName("y")
	if err != nil {
		t.Errorf("another name: %v", err)
	} else {
		other()
	}
	unlock()
	again, err := lockName("x")
	if err != nil {
		t.Fatalf("when the first has ended: %v", err)
	}
	again()
}
