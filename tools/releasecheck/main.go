// SPDX-License-Identifier: Apache-2.0

// Command releasecheck looks at what goreleaser has made. Each program must be there for each platform, in an archive that
// matches its checksum, beside an SBOM that names all modules it was built from; and krew's manifest must tell of these archives.
// What a release has is said here once more, so that a slip in .goreleaser.yaml is noticed.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const plugin = "kubectl-hsj"

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: releasecheck FOLDER OS/ARCH...")
		os.Exit(2)
	}
	if err := check(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "releasecheck: %s is not what a release has:\n%v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func check(folder string, platforms []string) error {
	text, err := os.ReadFile(filepath.Join(folder, "metadata.json"))
	if err != nil {
		return err
	}
	var metadata struct{ Version string }
	if err := json.Unmarshal(text, &metadata); err != nil {
		return fmt.Errorf("metadata.json: %w", err)
	}
	sums, err := readSums(folder)
	if err != nil {
		return err
	}

	var faults []error
	if err := checkKrew(folder, sums, platforms); err != nil {
		faults = append(faults, fmt.Errorf("krew's manifest: %w", err))
	}
	for _, platform := range platforms {
		for binary, name := range programs(platform) {
			stem := fmt.Sprintf("%s_%s_%s", name, metadata.Version, strings.ReplaceAll(platform, "/", "_"))
			for _, file := range []string{stem + ".tar.gz", stem + ".cdx.json"} {
				if sums[file] == "" {
					faults = append(faults, fmt.Errorf("%s isn't in checksums.txt", file))
				}
				delete(sums, file)
			}
			if err := checkProgram(filepath.Join(folder, stem), binary, platform, "v"+metadata.Version); err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", stem, err))
			}
		}
	}
	for file := range sums {
		faults = append(faults, fmt.Errorf("%s is nothing that a release has", file))
	}
	return errors.Join(faults...)
}

// programs says what each program's archive is called.
func programs(platform string) map[string]string {
	p := map[string]string{"operator": "hotstandbyjob-operator", plugin: plugin}
	if strings.HasPrefix(platform, "linux/") { // it runs in pods only
		p["standby"] = "hotstandbyjob-standby"
	}
	return p
}

// readSums has the checksums by file, after it has compared them.
func readSums(folder string) (map[string]string, error) {
	text, err := os.ReadFile(filepath.Join(folder, "checksums.txt"))
	if err != nil {
		return nil, err
	}
	sums := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		sum, file, _ := strings.Cut(lines.Text(), "  ")
		content, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			return nil, err
		}
		if fmt.Sprintf("%x", sha256.Sum256(content)) != sum {
			return nil, fmt.Errorf("%s has not the checksum that checksums.txt says", file)
		}
		sums[file] = sum
	}
	return sums, nil
}
