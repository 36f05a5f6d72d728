// SPDX-License-Identifier: Apache-2.0

package metric

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the table anew")

// Where the table is, between two comments.
const (
	page  = "../../docs/metrics.md"
	begin = "<!-- The table is generated: go test ./internal/metric -run TestDocs -update -->\n"
	end   = "<!-- end of the table -->\n"
)

func TestDocsHaveTheTable(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the table", page)
	}
	want := before + begin + table() + end + after
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("%s isn't what the code says; renew it by go test ./internal/metric -run TestDocs -update (-code +page):\n%s", page, diff)
	}
}

func table() string {
	var b strings.Builder
	b.WriteString("\n| name | type | labels | meaning |\n| --- | --- | --- | --- |\n")
	for _, f := range Families() {
		b.WriteString("| `" + f.Name + "` | " + string(f.Kind) + " | " + strings.Join(f.Labels, ", ") + " | " + f.Help + " |\n")
	}
	b.WriteString("\n")
	return b.String()
}
