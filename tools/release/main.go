// SPDX-License-Identifier: Apache-2.0

// Command release checks a configuration of goreleaser as goreleaser would read it: every field must exist, and what it
// refers to must be there. Goreleaser as a whole takes more than six minutes of CPU time to compile, this some 30 seconds.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/goreleaser/goreleaser/v2/pkg/config"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: release FILE")
		os.Exit(2)
	}
	if err := check(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func check(file string) error {
	project, err := config.Load(file)
	if err != nil {
		return err
	}
	var faults []error
	var files []string
	builds := map[string]bool{}
	for _, b := range project.Builds {
		builds[b.ID] = true
		files = append(files, b.Main)
	}
	refer := func(what string, ids []string) {
		for _, id := range ids {
			if !builds[id] {
				faults = append(faults, fmt.Errorf("%s: there is no build %s", what, id))
			}
		}
	}
	for _, a := range project.Archives {
		refer("archive "+a.ID, a.IDs)
		for _, f := range a.Files {
			files = append(files, f.Source)
		}
	}
	for _, d := range project.DockersV2 {
		refer("image "+d.ID, d.IDs)
		files = append(files, d.Dockerfile)
	}
	for _, f := range files {
		if _, err := os.Stat(filepath.Join(filepath.Dir(file), f)); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}
