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

// Manifests are the objects in all documents below a folder: in Markdown the blocks of YAML, and whole files of YAML in
// docs/examples and config/samples. A block without a kind is part of something, such as a chart's values: it must be YAML.
func Manifests(root string) ([]Manifest, error) {
	var all []Manifest
	add := func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		for i, block := range blocks(file, string(text)) {
			objects, err := decode(block)
			if err != nil {
				return fmt.Errorf("%s, block %d: %w", file, i+1, err)
			}
			for _, o := range objects {
				all = append(all, Manifest{File: file, Group: fmt.Sprintf("%s, block %d", file, i+1), Unstructured: o})
			}
		}
		return nil
	}
	for _, dir := range []string{"docs", "config/samples"} {
		if err := filepath.WalkDir(filepath.Join(root, dir), add); err != nil {
			return nil, err
		}
	}
	pages, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		return nil, err
	}
	for _, page := range pages {
		if err := filepath.WalkDir(page, add); err != nil {
			return nil, err
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
