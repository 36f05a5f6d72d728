// SPDX-License-Identifier: Apache-2.0

// Package docs holds the documents to what the code has. It starts nothing: what needs a server is in test/integration.
package docs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// Manifest is an object that a document shows.
type Manifest struct {
	// File has it; its path begins at the repository's root.
	File string
	// Group is the same for the objects of one file or block: they are applied together.
	Group string
	*unstructured.Unstructured
}

// String says which one it is.
func (m Manifest) String() string { return fmt.Sprintf("%s: %s %s", m.Group, m.GetKind(), m.GetName()) }

// Others tells whether neither Kubernetes nor this project has such a kind.
func (m Manifest) Others() bool {
	group := m.GroupVersionKind().Group
	return strings.Contains(group, ".") && !strings.HasSuffix(group, ".k8s.io") && group != v1alpha1.GroupName ||
		strings.HasSuffix(group, ".x-k8s.io")
}

// Manifests are the objects in all documents below a folder: in Markdown the blocks of YAML, and whole files of YAML in
// docs/examples and config/samples. A block without a kind is part of something, such as a chart's values: it must be YAML.
func Manifests(root string) ([]Manifest, error) {
	files, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{"docs", "config/samples"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	var all []Manifest
	for _, path := range files {
		manifests, err := manifestsOf(root, path)
		if err != nil {
			return nil, err
		}
		all = append(all, manifests...)
	}
	return all, nil
}

// manifestsOf are those of one file.
func manifestsOf(root, path string) ([]Manifest, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	file, err := filepath.Rel(root, path)
	if err != nil {
		return nil, err
	}
	var all []Manifest
	for i, block := range blocks(file, string(text)) {
		group := fmt.Sprintf("%s, block %d", file, i+1)
		objects, err := decode(block)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", group, err)
		}
		for _, o := range objects {
			all = append(all, Manifest{File: file, Group: group, Unstructured: o})
		}
	}
	return all, nil
}

var fenced = regexp.MustCompile("(?ms)^```ya?ml\n(.*?)^```")

// blocks are the parts of a file that are YAML.
func blocks(file, text string) []string {
	switch filepath.Ext(file) {
	case ".yaml":
		return []string{text}
	case ".md":
		var all []string
		for _, m := range fenced.FindAllStringSubmatch(text, -1) {
			all = append(all, m[1])
		}
		return all
	}
	return nil
}

// decode reads the objects of a stream of YAML, and leaves out what has no kind. A key that is there twice is an error.
func decode(text string) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	documents := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		data, err := yaml.YAMLToJSONStrict(document)
		if err != nil {
			return nil, err
		}
		var content any
		if err := json.Unmarshal(data, &content); err != nil { // whole numbers stay whole, as the server has them
			return nil, err
		}
		if object, ok := content.(map[string]any); ok && object["kind"] != nil && object["apiVersion"] != nil {
			all = append(all, &unstructured.Unstructured{Object: object})
		}
	}
}
