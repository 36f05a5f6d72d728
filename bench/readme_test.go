// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/paia-tech/hotstandbyjob/bench/internal/result"
)

// The README says what the committed baseline says.
func TestTheREADMEHasTheTableOfTheBaseline(t *testing.T) {
	path := filepath.Join("..", "README.md")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(copied, before, 0o600); err != nil {
		t.Fatal(err)
	}
	baseline, err := result.Read("baseline.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := writeTable(copied, baseline); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(before), string(after)); diff != "" {
		t.Errorf("run `go run ./bench -readme` and commit what it writes (-README +baseline):\n%s", diff)
	}
}
