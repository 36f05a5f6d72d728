// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/paia-tech/hotstandbyjob/internal/config"
)

func TestLogger(t *testing.T) {
	for name, tc := range map[string]struct {
		level int
		want  []string
	}{
		"changes of state":             {0, []string{"state"}},
		"decisions too":                {1, []string{"state", "decision"}},
		"every pass":                   {4, []string{"state", "decision", "pass"}},
		"what is between says no more": {3, []string{"state", "decision"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			c := config.DefaultOperator()
			c.LogLevel = tc.level
			log := Logger(&out, c).WithValues("pool", "demo")
			log.Info("state")
			log.V(1).Info("decision")
			log.V(4).Info("pass")
			var got []string
			for line := range strings.Lines(out.String()) {
				var entry map[string]any
				if err := json.Unmarshal([]byte(line), &entry); err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				if entry["pool"] != "demo" {
					t.Errorf("%q doesn't have its values", line)
				}
				text, _ := entry["msg"].(string)
				got = append(got, text)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoggerAsText(t *testing.T) {
	var out bytes.Buffer
	c := config.DefaultOperator()
	c.LogFormat = "text"
	Logger(&out, c).Error(errors.New("no answer"), "observe", "pool", "demo")
	for _, part := range []string{"level=ERROR", "msg=observe", "pool=demo", `err="no answer"`} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("%q doesn't have %s", out.String(), part)
		}
	}
}

func TestNoClusterIsSaidWithTheRemedy(t *testing.T) {
	missing := errors.New("no configuration")
	err := Run(t.Context(), func() (*rest.Config, error) { return nil, missing }, config.DefaultOperator())
	if !errors.Is(err, missing) || !strings.Contains(err.Error(), "--kubeconfig") {
		t.Errorf("the error is %v", err)
	}
}
