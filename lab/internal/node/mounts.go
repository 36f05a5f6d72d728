// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
)

// mount is a line of /proc/self/mountinfo, as far as it matters here.
type mount struct{ path, kind string }

func mounts() ([]mount, error) {
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var found []mount
	for line := range strings.Lines(string(raw)) {
		before, after, ok := strings.Cut(line, " - ")
		fields, rest := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(rest) == 0 {
			continue
		}
		found = append(found, mount{path: unescape.Replace(fields[4]), kind: rest[0]})
	}
	return found, nil
}

// isNetns reports whether a network namespace is mounted at the path.
func isNetns(path string) bool {
	all, err := mounts()
	return err == nil && slices.Contains(all, mount{path: path, kind: "nsfs"})
}

// unmountBelow takes away what is still mounted in a folder, the innermost first: removing the folder must never reach
// through a mount.
func unmountBelow(ctx context.Context, dir string) error {
	all, err := mounts()
	if err != nil {
		return err
	}
	for _, m := range slices.Backward(all) {
		if !strings.HasPrefix(m.path, dir+"/") {
			continue
		}
		if err := run(ctx, "umount", "--lazy", m.path); err != nil {
			return err
		}
	}
	return nil
}
