package guide

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// page is a page of the guide, and the files whose reasons it has to explain.
type page struct {
	file    string
	sources []string
	// others are words in the sources that have the look of a reason and are none.
	others []string
}

func pages() []page {
	return []page{
		{
			file: "conditions.md",
			sources: []string{
				"internal/agent/damaged.go", "internal/agent/steps.go", "internal/agent/report/*.go", "internal/manager/record/*.go", "internal/manager/admission/readmit.go",
				"internal/manager/facts/problem.go",
			},
			others: []string{"True", "False", "Unknown", "Record", "Readmit", "Not", "Machine", "Pod", "WorkloadGroup"},
		},
		{
			file:    "troubleshooting.md",
			sources: []string{"internal/refusal/reason.go", "internal/agent/preflight/check.go"},
		},
	}
}

func TestEveryReasonIsExplained(t *testing.T) {
	for _, p := range pages() {
		t.Run(p.file, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("../../docs/guide", p.file))
			if err != nil {
				t.Fatal(err)
			}
			explained := map[string]bool{}
			for _, line := range strings.Split(string(text), "\n") {
				// Reasons stand in the first cell of a row.
				if cells := strings.Split(line, "|"); len(cells) > 2 {
					for _, found := range regexp.MustCompile("`([A-Za-z]+)`").FindAllStringSubmatch(cells[1], -1) {
						explained[found[1]] = true
					}
				}
			}
			inCode := map[string]string{}
			for _, source := range p.sources {
				reasons(t, source, inCode)
			}
			for reason, where := range inCode {
				if !explained[reason] && !slices.Contains(p.others, reason) {
					t.Errorf("%s: docs/guide/%s does not explain %s", where, p.file, reason)
				}
			}
			for reason := range explained {
				if _, ok := inCode[reason]; !ok && !conditionType(reason) {
					t.Errorf("docs/guide/%s explains %s, which nothing says any more", p.file, reason)
				}
			}
		})
	}
}

// conditionType: the page on conditions explains the types, too, some of which are no reason.
func conditionType(name string) bool {
	return slices.Contains([]string{"Connected", "ConfigCurrent", "ProxyReady", "IdentityValid", "Intercepting", "Drifted", "Healthy", "Ready"}, name)
}

// reasons notes all string literals of one CamelCase word, and where they are.
func reasons(t *testing.T, pattern string, into map[string]string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no source %s: %v", pattern, err)
	}
	word := regexp.MustCompile(`^[A-Z][A-Za-z]+$`)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			if text, err := strconv.Unquote(literal.Value); err == nil && word.MatchString(text) {
				into[text] = strings.TrimPrefix(set.Position(literal.Pos()).String(), "../../")
			}
			return true
		})
	}
}
