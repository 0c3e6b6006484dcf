package guide

import (
	"os"
	"regexp"
	"testing"

	"github.com/hawser-io/hawser/internal/manager"
)

// The chart starts the manager with flags that it has: a misspelt one would keep every replica from starting.
func TestChartUsesTheManagersFlags(t *testing.T) {
	text, err := os.ReadFile("../../deploy/helm/hawser/templates/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	used := regexp.MustCompile(`(?m)^\s+- --([a-z-]+)`).FindAllStringSubmatch(string(text), -1)
	if len(used) < 5 {
		t.Fatalf("only %d flags were found in the template", len(used))
	}
	flags := manager.Command().Flags()
	for _, flag := range used {
		if flags.Lookup(flag[1]) == nil {
			t.Errorf("the manager has no flag --%s", flag[1])
		}
	}
}
