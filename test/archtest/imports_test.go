package archtest

import (
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

func rules() []rule {
	effects := []string{"os", "os/exec", "net", "net/http", "syscall", "io/ioutil", "golang.org/x/sys/unix", "k8s.io/client-go/", "sigs.k8s.io/controller-runtime/"}
	return []rule{
		{
			packages:   []string{"internal/agent/..."},
			forbidden:  []string{"k8s.io/", "sigs.k8s.io/", "istio.io/", module + "/api/v1alpha1", module + "/internal/manager/", module + "/internal/ctl"},
			transitive: true,
			reason:     "the agent is small and runs as root on the most stateful hosts: it knows the wire, not the cluster",
		},
		{
			packages:  []string{"internal/manager/facts", "internal/manager/desired"},
			forbidden: effects,
			reason:    "deciding is a function of its inputs, so that golden files show every case",
		},
		{
			packages:  []string{"internal/manager/facts"},
			forbidden: []string{module + "/internal/manager/"},
			reason:    "facts are the vocabulary of the manager: everything imports them, they import nothing of it",
		},
		{
			packages:  []string{"internal/manager/..."},
			forbidden: []string{module + "/internal/agent/", module + "/internal/ctl"},
			reason:    "manager and agent share the wire and nothing else",
		},
	}
}

func TestImportRules(t *testing.T) {
	all := listPackages(t, "./...")
	for _, r := range rules() {
		for _, pattern := range r.packages {
			matched := match(all, pattern)
			if len(matched) == 0 {
				t.Errorf("the rule for %s is about a package that does not exist: move the rule with the package", pattern)
			}
			for _, p := range matched {
				imports := p.Imports
				if r.transitive {
					imports = p.Deps
				}
				for _, path := range imports {
					if forbids(r.forbidden, path) && path != p.ImportPath {
						t.Errorf("%s imports %s: %s", p.ImportPath, path, r.reason)
					}
				}
			}
		}
	}
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
