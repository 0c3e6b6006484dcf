//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"
)

func TestFollowing(t *testing.T) {
	for name, c := range map[string]struct {
		command, followed, separator string
	}{
		"a table":           {"kubectl get machines -n shop", "kubectl get machines -n shop --watch", "\n"},
		"names":             {"kubectl get pods -o name", "kubectl get pods -o name --watch", "\n"},
		"a field":           {"kubectl get machine a -o jsonpath={.status}", "kubectl get machine a -o jsonpath={.status}\x1e --watch", "\x1e"},
		"fields of a list":  {"kubectl get machines -o jsonpath={.items[*].status}", "", ""},
		"a template":        {"kubectl get configmap a -o go-template={{.data}}", "", ""},
		"a document":        {"kubectl get machine a -o yaml", "", ""},
		"another verb":      {"kubectl create -f review.yaml -o jsonpath={.status}", "", ""},
		"another's command": {"hawser get machines", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			words := strings.Fields(c.command)
			followed, separator, ok := following(words[0], words[1:])
			if want := strings.Fields(c.followed); ok != (len(want) > 0) || ok && (!slices.Equal(followed, want[1:]) || separator != c.separator) {
				t.Errorf("followed by %q, %q, %t", followed, separator, ok)
			}
		})
	}
}
