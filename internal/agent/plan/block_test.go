package plan_test

import (
	"testing"

	"github.com/hawser-io/hawser/internal/agent/plan"
)

func TestBlock_GivesTheFileBack(t *testing.T) {
	for _, content := range []string{"", "\n", "127.0.0.1 localhost\n", "127.0.0.1 localhost", "a\n\n\n", "\r\nwindows\r\n"} {
		with := plan.WithBlock([]byte(content), []string{"192.0.2.1 one", "192.0.2.2 two"})
		if got := string(plan.WithoutBlock(with)); got != content {
			t.Errorf("%q came back as %q", content, got)
		}
		again := plan.WithBlock(with, []string{"192.0.2.3 three"})
		if got := string(plan.WithoutBlock(again)); got != content {
			t.Errorf("%q came back as %q after its block was replaced", content, got)
		}
		if once, twice := string(again), string(plan.WithBlock(again, []string{"192.0.2.3 three"})); once != twice {
			t.Errorf("writing the same block again changes %q to %q", once, twice)
		}
	}
}

func TestBlock_KeepsWhatOthersWrote(t *testing.T) {
	for _, test := range []struct{ name, content, want string }{
		{"line after the block", "a" + "\n# Hawser: begin, after a newline of its own\nb\n# Hawser: end\nc\n", "a\nc\n"},
		{"line before the block", "a\nnew\n# Hawser: begin\nb\n# Hawser: end\n", "a\nnew\n"},
		{"end missing", "a\n# Hawser: begin\nb\n", "a\n# Hawser: begin\nb\n"},
		{"no final newline after the block", "a\n# Hawser: begin\nb\n# Hawser: end", "a\n"},
	} {
		if got := string(plan.WithoutBlock([]byte(test.content))); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}
