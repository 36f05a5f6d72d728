// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// checkProgram looks into stem.tar.gz and stem.cdx.json.
func checkProgram(stem, binary, platform, version string) error {
	program, err := unpack(stem+".tar.gz", binary)
	if err != nil {
		return err
	}
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		return fmt.Errorf("%s: %w", binary, err)
	}
	if built := setting(info, "GOOS") + "/" + setting(info, "GOARCH"); built != platform {
		return fmt.Errorf("%s is a program for %s", binary, built)
	}
	// The linker is silent about a variable that isn't there.
	if binary == plugin && !bytes.Contains(program, []byte(version)) {
		return fmt.Errorf("%s doesn't say that it is %s", binary, version)
	}
	if err := checkSBOM(stem+".cdx.json", info.Deps); err != nil {
		return fmt.Errorf("SBOM: %w", err)
	}
	return nil
}

// unpack returns the program that is at the top of an archive, beside the licence.
func unpack(file, binary string) (program []byte, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	missing := map[string]bool{binary: true, "LICENSE": true}
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		delete(missing, header.Name)
		if header.Name != binary {
			continue
		}
		if header.Mode != 0o755 {
			return nil, fmt.Errorf("%s has mode %o", binary, header.Mode)
		}
		if program, err = io.ReadAll(archive); err != nil {
			return nil, err
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("the archive lacks %q", slices.Sorted(maps.Keys(missing)))
	}
	return program, nil
}

func setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// checkSBOM looks for the modules that a program was built from.
func checkSBOM(file string, modules []*debug.Module) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	type component struct{ Name, Version string }
	var sbom struct{ Components []component }
	if err := json.Unmarshal(text, &sbom); err != nil {
		return err
	}
	for _, m := range modules {
		if m.Replace != nil {
			m = m.Replace
		}
		if !slices.Contains(sbom.Components, component{m.Path, m.Version}) {
			return fmt.Errorf("%s %s isn't in it", m.Path, m.Version)
		}
	}
	return nil
}

// checkKrew compares what krew is told of the plugin's archives with what they are.
func checkKrew(folder string, sums map[string]string, platforms []string) error {
	text, err := os.ReadFile(filepath.Join(folder, "krew", "hsj.yaml"))
	if err != nil {
		return err
	}
	var manifest struct {
		Spec struct {
			Platforms []struct {
				Bin, URI, SHA256 string
				Selector         struct{ MatchLabels struct{ OS, Arch string } }
			}
		}
	}
	if err := yaml.Unmarshal(text, &manifest); err != nil {
		return err
	}
	var told []string
	for _, p := range manifest.Spec.Platforms {
		on := p.Selector.MatchLabels
		sum := sums[path.Base(p.URI)]
		if p.Bin != plugin || p.SHA256 != sum || !strings.HasSuffix(p.URI, "_"+on.OS+"_"+on.Arch+".tar.gz") {
			return fmt.Errorf("%+v doesn't fit the archive, whose checksum is %q", p, sum)
		}
		told = append(told, on.OS+"/"+on.Arch)
	}
	if slices.Sort(told); !slices.Equal(told, slices.Sorted(slices.Values(platforms))) {
		return fmt.Errorf("it has %q, not %q", told, platforms)
	}
	return nil
}
