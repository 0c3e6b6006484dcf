package archtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// flow is the manager's: watch → desired → publish, with record, enroll and confine beside it. Each part may import the parts that are named
// for it and no others of the manager; a new package finds its place here or does not get in.
func flow() map[string][]string {
	return map[string][]string{
		// The vocabulary.
		"facts": nil,
		// Into facts.
		"watch":  {"facts"},
		"bundle": {"facts"},
		// From facts alone.
		"desired": {"facts"},
		"confine": {"facts"},
		"record":  {"facts"},
		// What machines are let in and served by.
		"admission":  {"facts"},
		"caller":     {"facts"},
		"ca":         {"facts"},
		"istiotoken": {"facts"},
		// The two services.
		"enroll":  {"facts", "desired", "ca", "admission"},
		"publish": {"facts", "desired", "caller", "istiotoken", "record", "bundle"},
		// What tests of several parts start.
		"managertest": {"watch"},
	}
}

// against returns the imports that go against the flow, and the packages that have no place in it.
func against(flow map[string][]string, all map[string]goPackage) []string {
	root := module + "/internal/manager/"
	var broken []string
	for name := range flow {
		if _, ok := all[root+name]; !ok {
			broken = append(broken, fmt.Sprintf("the flow has %s, which does not exist: move its place with the package", name))
		}
	}
	for path, p := range all {
		name, ok := strings.CutPrefix(path, root)
		if !ok {
			continue
		}
		allowed, ok := flow[name]
		if !ok {
			broken = append(broken, fmt.Sprintf("internal/manager/%s has no place in the flow: say what it may import", name))
		}
		for _, imported := range p.Imports {
			if part, ok := strings.CutPrefix(imported, root); ok && !slices.Contains(allowed, part) {
				broken = append(broken, fmt.Sprintf("internal/manager/%s imports %s, against the flow watch → desired → publish", name, part))
			}
			if imported+"/" == root {
				broken = append(broken, fmt.Sprintf("internal/manager/%s imports what puts it together", name))
			}
		}
	}
	return broken
}

func TestManagerFollowsTheFlow(t *testing.T) {
	for _, broken := range against(flow(), listPackages(t, "./internal/manager/...")) {
		t.Error(broken)
	}
}

func TestFlowCatches(t *testing.T) {
	part := func(name string, imports ...string) goPackage {
		p := goPackage{ImportPath: module + "/internal/manager/" + name}
		for _, i := range imports {
			p.Imports = append(p.Imports, module+"/internal/manager/"+i)
		}
		return p
	}
	for name, c := range map[string]struct {
		packages []goPackage
		want     string
	}{
		"backwards":      {[]goPackage{part("watch", "facts"), part("publish", "watch")}, "internal/manager/publish imports watch, against the flow"},
		"the-vocabulary": {[]goPackage{part("watch"), part("publish"), part("facts", "watch")}, "internal/manager/facts imports watch, against the flow"},
		"no-place":       {[]goPackage{part("watch"), part("publish"), part("cache")}, "internal/manager/cache has no place in the flow"},
		"gone":           {[]goPackage{part("publish")}, "the flow has watch, which does not exist"},
		"the-root": {
			[]goPackage{part("watch"), {ImportPath: module + "/internal/manager/publish", Imports: []string{module + "/internal/manager"}}},
			"internal/manager/publish imports what puts it together",
		},
		"forwards": {[]goPackage{part("watch", "facts"), part("publish", "facts")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			all := map[string]goPackage{}
			for _, p := range c.packages {
				all[p.ImportPath] = p
			}
			facts := map[string][]string{"watch": {"facts"}, "publish": {"facts"}}
			if _, ok := all[module+"/internal/manager/facts"]; ok {
				facts["facts"] = nil
			}
			broken := against(facts, all)
			if c.want == "" && broken != nil || c.want != "" && (len(broken) != 1 || !strings.HasPrefix(broken[0], c.want)) {
				t.Errorf("got %q, want %q", broken, c.want)
			}
		})
	}
}
