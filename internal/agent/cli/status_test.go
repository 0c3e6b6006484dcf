package cli

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/agent/store"
)

// Without an agent, status says which of the reasons it is, and what to do.
func TestNoStatusSaysWhy(t *testing.T) {
	joined := store.Enrollment{Namespace: "shop", Name: "vm-1", Completed: time.Now()}
	removed := joined
	removed.Removed = "the Machine was deleted"
	for name, test := range map[string]struct {
		kept *store.Enrollment
		want string
	}{
		"not joined":  {nil, "this host is not a machine of a mesh: `hawser-agent join` makes it one"},
		"not running": {&joined, "this host is machine shop/vm-1, but the agent is not running: `systemctl start hawser-agent`"},
		"removed":     {&removed, "the manager has removed machine shop/vm-1 (the Machine was deleted), and the agent is putting this host back"},
	} {
		directory := t.TempDir()
		var stdout, stderr writer
		program := &Program{Stdout: &stdout, Stderr: &stderr, State: filepath.Join(directory, "state"), Socket: filepath.Join(directory, "agent.sock")}
		if test.kept != nil {
			kept := store.New(program.State)
			if err := kept.Prepare(); err != nil {
				t.Fatal(err)
			}
			if err := kept.KeepEnrollment(*test.kept); err != nil {
				t.Fatal(err)
			}
		}
		for _, arguments := range [][]string{{"status"}, {"status", "-o", "json"}, {"status", "--watch"}} {
			code := program.Run(t.Context(), arguments)
			if code != codeFailed || stdout.text != "" || !strings.Contains(stderr.text, test.want) {
				t.Errorf("%s: exit code %d, %q, want %q", name, code, stderr.text, test.want)
			}
		}
	}
}
