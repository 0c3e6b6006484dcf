package charttest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbac "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/hawser-io/hawser/lab/internal/golden"
)

// TestRights lists every right that the chart gives away. A change of the golden file is a change of the threat model:
// say why beside the rule, in docs/guide/rbac.md and, where it weighs, in docs/threat-model.md.
func TestRights(t *testing.T) {
	guide, err := os.ReadFile("../../../docs/guide/rbac.md")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, role := range roles(t) {
		for _, rule := range role.Rules {
			for _, list := range [][]string{rule.APIGroups, rule.Resources, rule.Verbs} {
				if len(list) == 0 || slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, "*") }) {
					t.Errorf("%s %s: a rule with a wildcard or an empty list: %v", role.Kind, role.Name, rule)
				}
			}
			for _, resource := range rule.Resources {
				lines = append(lines, fmt.Sprintf("%-11s %-16s %-26s %-30s %-20s %s", role.Kind, namespaceOf(role), role.Name,
					resource, strings.Join(rule.ResourceNames, ","), strings.Join(rule.Verbs, ",")))
				if !strings.Contains(string(guide), "`"+resource+"`") {
					t.Errorf("docs/guide/rbac.md does not explain the right on %s", resource)
				}
			}
		}
	}
	slices.Sort(lines)
	golden.Check(t, "rights.txt", strings.Join(lines, "\n")+"\n")
}

func TestEveryRuleSaysWhy(t *testing.T) {
	files, err := filepath.Glob(folder + "/templates/rbac*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		for i, line := range lines {
			if strings.HasPrefix(line, "  - apiGroups:") && !strings.HasPrefix(strings.TrimSpace(lines[i-1]), "#") {
				t.Errorf("%s:%d: no comment says why the rule is there", file, i+1)
			}
		}
	}
}

// The manager creates Secrets and gets them by name, but it cannot go looking for those of others.
func TestNoRightToReadSecrets(t *testing.T) {
	for _, role := range roles(t) {
		for _, rule := range role.Rules {
			if !slices.Contains(rule.Resources, "secrets") {
				continue
			}
			for _, verb := range []string{"list", "watch", "update", "patch", "deletecollection"} {
				if slices.Contains(rule.Verbs, verb) {
					t.Errorf("%s %s may %s secrets", role.Kind, role.Name, verb)
				}
			}
		}
	}
}

// roles reads the ClusterRoles and Roles of the chart with default values; a ClusterRole has the shape of a Role.
func roles(t *testing.T) []rbac.Role {
	t.Helper()
	var found []rbac.Role
	for _, document := range documents(t, "") {
		var role rbac.Role
		if err := yaml.Unmarshal(document, &role); err != nil {
			t.Fatal(err)
		}
		if role.Kind == "Role" || role.Kind == "ClusterRole" {
			found = append(found, role)
		}
	}
	if len(found) == 0 {
		t.Fatal("the chart has no roles")
	}
	return found
}

func namespaceOf(role rbac.Role) string {
	if role.Kind == "ClusterRole" {
		return "(cluster)"
	}
	return role.Namespace
}
