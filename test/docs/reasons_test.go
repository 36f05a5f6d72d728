// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	root = "../.."
	// table is the document that has every reason and every type of condition.
	table = root + "/docs/conditions-and-events.md"
)

// sources are the Go files below the folders, tests and generated ones left out.
func sources(t *testing.T, dirs ...string) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	for _, dir := range dirs {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".pb.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			files[path] = file
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// constants are the values of the string constants whose names match, by name.
func constants(files map[string]*ast.File, name *regexp.Regexp) map[string]string {
	found := map[string]string{}
	for _, file := range files {
		for _, decl := range file.Decls {
			group, ok := decl.(*ast.GenDecl)
			if !ok || group.Tok != token.CONST {
				continue
			}
			for _, spec := range group.Specs {
				value, _ := spec.(*ast.ValueSpec)
				for i, ident := range value.Names {
					if i < len(value.Values) && name.MatchString(ident.Name) {
						if text, ok := literal(value.Values[i]); ok {
							found[ident.Name] = text
						}
					}
				}
			}
		}
	}
	return found
}

// literal is the text of an expression that has one.
func literal(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, e.Kind == token.STRING && err == nil
	case *ast.BinaryExpr: // part of it is enough
		if text, ok := literal(e.X); ok {
			return text, true
		}
		return literal(e.Y)
	}
	return "", false
}

// column are the words in code style in the columns of the document's tables that have a heading.
func column(t *testing.T, heading string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	words, at := map[string]bool{}, -1
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "|") {
			at = -1
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i, cell := range cells {
			if strings.TrimSpace(cell) == heading {
				at = i
			}
		}
		if at < 0 || at >= len(cells) {
			continue
		}
		for _, word := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[at], -1) {
			words[word[1]] = true
		}
	}
	return words
}

// same says what one set has and the other one lacks.
func same(t *testing.T, what string, code, document map[string]bool) {
	t.Helper()
	for _, word := range slices.Sorted(maps.Keys(code)) {
		if !document[word] {
			t.Errorf("the code has the %s %s, and docs/conditions-and-events.md doesn't: say there what it means and what to do", what, word)
		}
	}
	for _, word := range slices.Sorted(maps.Keys(document)) {
		if !code[word] {
			t.Errorf("docs/conditions-and-events.md has the %s %s, and the code doesn't", what, word)
		}
	}
}

func values(m map[string]string) map[string]bool {
	set := map[string]bool{}
	for _, v := range m {
		set[v] = true
	}
	return set
}

func TestEveryReasonIsInTheTable(t *testing.T) {
	t.Parallel()
	found := constants(sources(t, "api", "internal"), regexp.MustCompile(`^Reason[A-Z]`))
	if len(found) < 25 {
		t.Fatalf("found %d reasons only: are they constants named Reason…?", len(found))
	}
	same(t, "reason", values(found), column(t, "reason"))
}

func TestEveryConditionIsInTheTable(t *testing.T) {
	t.Parallel()
	files := sources(t, "api", "internal")
	found := values(constants(files, regexp.MustCompile(`^(Condition[A-Z]|PodRetired$)`)))
	if len(found) < 6 {
		t.Fatalf("found %d conditions only: are they constants named Condition…?", len(found))
	}
	same(t, "condition", found, column(t, "condition"))
}

// The first test finds constants only: so nothing else may be a reason.
func TestReasonsAreConstants(t *testing.T) {
	t.Parallel()
	reasonAt := map[string]int{"Eventf": 3, "event": 2} // function → where it takes the reason
	dirs := []string{"internal/condition", "internal/controller", "internal/launch", "internal/object", "internal/standby", "internal/webhook"}
	for path, file := range sources(t, dirs...) {
		ast.Inspect(file, func(n ast.Node) bool {
			var reason ast.Expr
			switch n := n.(type) {
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.SelectorExpr); ok {
					if at, ok := reasonAt[f.Sel.Name]; ok && at < len(n.Args) {
						reason = n.Args[at]
					}
				}
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && strings.EqualFold(key.Name, "reason") {
					reason = n.Value
				}
			}
			if text, ok := literal(reason); ok {
				t.Errorf("%s has the reason %q in its place: give it a constant named Reason…", path, text)
			}
			return true
		})
	}
}
