package archtest

import (
	"bufio"
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// ceiling of lines in one file: beyond it a file holds more than one idea.
const ceiling = 400

func TestPackagesHaveOneDocComment(t *testing.T) {
	for _, p := range listPackages(t, "./...") {
		var documented []string
		for _, name := range p.GoFiles {
			if generated(t, filepath.Join(p.Dir, name)) {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if file.Doc != nil {
				documented = append(documented, name)
			}
		}
		if onlyGenerated(t, p) {
			continue
		}
		if len(documented) != 1 {
			t.Errorf("%s has %d package comments %v: one file says what the package is for and what it must not do", p.ImportPath, len(documented), documented)
		}
	}
}

func TestNamesSayWhatPackagesAre(t *testing.T) {
	empty := []string{"util", "utils", "common", "helper", "helpers", "misc", "base", "shared"}
	for _, p := range listPackages(t, "./...") {
		if slices.Contains(empty, path.Base(p.ImportPath)) || slices.Contains(empty, p.Name) {
			t.Errorf("%s: the name says nothing about what the package holds", p.ImportPath)
		}
	}
}

func TestFilesStaySmall(t *testing.T) {
	for _, p := range listPackages(t, "./...") {
		files, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if lines := bytes.Count(content, []byte("\n")); lines > ceiling && !generated(t, file) {
				t.Errorf("%s has %d lines, more than %d: which two ideas does it hold?", file, lines, ceiling)
			}
		}
	}
}

func TestNoInitAndNoFatalBelowMain(t *testing.T) {
	forbidden := regexp.MustCompile(`(?m)^func init\(\)|\blog\.Fatal|\bos\.Exit\(`)
	for _, p := range listPackages(t, "./internal/...", "./api/...") {
		for _, name := range p.GoFiles {
			content, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if found := forbidden.Find(content); found != nil && !generated(t, filepath.Join(p.Dir, name)) {
				t.Errorf("%s/%s has %q: side effects at start and exits belong to main alone", p.ImportPath, name, found)
			}
		}
	}
}

func onlyGenerated(t *testing.T, p goPackage) bool {
	return !slices.ContainsFunc(p.GoFiles, func(name string) bool { return !generated(t, filepath.Join(p.Dir, name)) })
}

// generated reports whether a file carries the mark of https://go.dev/s/generatedcode before its package clause.
func generated(t *testing.T, file string) bool {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "// Code generated ") && strings.HasSuffix(line, " DO NOT EDIT.") {
			return true
		}
		if strings.HasPrefix(line, "package ") {
			return false
		}
	}
	return false
}
