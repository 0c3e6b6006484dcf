package archtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// rule forbids some imports to some packages. Packages end in "/..." to mean a whole tree.
type rule struct {
	packages []string
	// forbidden are import paths; one that ends in "/" is a prefix.
	forbidden []string
	// transitive looks at all that is linked, not only at what the package itself imports.
	transitive bool
	reason     string
}

// check returns what breaks the rule. A pattern that matches nothing breaks it too: a rule about a package that moved guards nothing.
func (r rule) check(all map[string]goPackage) []string {
	var broken []string
	for _, pattern := range r.packages {
		matched := match(all, pattern)
		if len(matched) == 0 {
			broken = append(broken, fmt.Sprintf("the rule for %s is about a package that does not exist: move the rule with the package", pattern))
		}
		for _, p := range matched {
			imports := p.Imports
			if r.transitive {
				imports = p.Deps
			}
			for _, path := range imports {
				if forbids(r.forbidden, path) && path != p.ImportPath {
					broken = append(broken, fmt.Sprintf("%s imports %s: %s", p.ImportPath, path, r.reason))
				}
			}
		}
	}
	return broken
}

func match(all map[string]goPackage, pattern string) []goPackage {
	var matched []goPackage
	prefix, tree := strings.CutSuffix(module+"/"+pattern, "/...")
	for path, p := range all {
		if path == prefix || tree && strings.HasPrefix(path, prefix+"/") {
			matched = append(matched, p)
		}
	}
	return matched
}

func forbids(forbidden []string, path string) bool {
	return slices.ContainsFunc(forbidden, func(f string) bool {
		return path == f || strings.HasSuffix(f, "/") && (strings.HasPrefix(path, f) || path+"/" == f)
	})
}

// TestEachRuleCatches breaks each rule in each way: every package of it, or one below it, imports each thing that it may not.
func TestEachRuleCatches(t *testing.T) {
	for _, r := range rules() {
		for _, pattern := range r.packages {
			importer, tree := strings.CutSuffix(pattern, "/...")
			if tree {
				importer += "/below"
			}
			for _, forbidden := range r.forbidden {
				imported := forbidden
				if strings.HasSuffix(forbidden, "/") {
					imported += "anything"
				}
				t.Run(pattern+" "+imported, func(t *testing.T) {
					p := goPackage{ImportPath: module + "/" + importer, Deps: []string{"fmt", imported}}
					if r.transitive {
						p.Imports = []string{"fmt"}
					} else {
						p.Imports = p.Deps
					}
					one := rule{packages: []string{pattern}, forbidden: r.forbidden, transitive: r.transitive, reason: r.reason}
					broken := one.check(map[string]goPackage{p.ImportPath: p})
					if len(broken) != 1 || !strings.Contains(broken[0], imported) || !strings.Contains(broken[0], r.reason) {
						t.Errorf("the rule did not see it: %q", broken)
					}
				})
			}
		}
	}
}

func TestRuleAllowsTheRest(t *testing.T) {
	r := rule{packages: []string{"internal/plan"}, forbidden: []string{"os", "net/"}, reason: "it decides"}
	innocent := goPackage{ImportPath: module + "/internal/plan", Imports: []string{"ossify", "fmt"}, Deps: []string{"os", "fmt"}}
	if broken := r.check(map[string]goPackage{innocent.ImportPath: innocent}); broken != nil {
		t.Errorf("got %q", broken)
	}
}

func TestRuleAboutNothingIsBroken(t *testing.T) {
	for _, r := range rules() {
		if broken := r.check(nil); len(broken) != len(r.packages) || !strings.Contains(broken[0], "does not exist") {
			t.Errorf("got %q", broken)
		}
	}
}
