package guide

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	rbac "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// The guide's list of the manager's rights is the chart's, neither more nor less.
func TestEveryRightIsExplained(t *testing.T) {
	inChart, inGuide := rightsOfChart(t), rightsOfGuide(t)
	for _, right := range slices.Sorted(maps.Keys(inChart)) {
		if !inGuide[right] {
			t.Errorf("docs/guide/rbac.md does not have the row | %s |", right)
		}
	}
	for _, right := range slices.Sorted(maps.Keys(inGuide)) {
		if !inChart[right] {
			t.Errorf("docs/guide/rbac.md has the row | %s |, and the chart does not give that right", right)
		}
	}
}

// rightsOfChart returns rights as the guide writes them: "`resource` named `name`, namespace | verbs".
func rightsOfChart(t *testing.T) map[string]bool {
	t.Helper()
	rights := map[string]bool{}
	for _, file := range []string{"rbac.yaml", "rbac-istio.yaml"} {
		text, err := os.ReadFile(filepath.Join("../../deploy/helm/hawser/templates", file))
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq(string(text), "\n---\n") {
			where := ""
			if strings.Contains(document, "\nkind: Role\n") {
				where = ", own namespace"
				if strings.Contains(document, "namespace: {{ .Values.istio.namespace }}") {
					where = ", Istio's namespace"
				}
			}
			var role rbac.ClusterRole
			// What the template adds is not about rights.
			plain := regexp.MustCompile(`(?m)^.*{{.*$`).ReplaceAllString(document, "")
			if err := yaml.Unmarshal([]byte(plain), &role); err != nil {
				t.Fatalf("%v in:\n%s", err, plain)
			}
			for _, rule := range role.Rules {
				for _, resource := range rule.Resources {
					right := "`" + resource + "`"
					if len(rule.ResourceNames) > 0 {
						right += " named `" + strings.Join(rule.ResourceNames, "`, `") + "`"
					}
					rights[right+where+" | "+strings.Join(rule.Verbs, ", ")] = true
				}
			}
		}
	}
	if len(rights) == 0 {
		t.Fatal("the chart gives no rights: does the test still find them?")
	}
	return rights
}

func rightsOfGuide(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../../docs/guide/rbac.md")
	if err != nil {
		t.Fatal(err)
	}
	_, manager, _ := strings.Cut(string(text), "## The manager")
	rights := map[string]bool{}
	for line := range strings.SplitSeq(manager, "\n") {
		if cells := strings.Split(line, "|"); len(cells) == 5 && strings.Contains(cells[1], "`") {
			rights[strings.TrimSpace(cells[1])+" | "+strings.TrimSpace(cells[2])] = true
		}
	}
	return rights
}
