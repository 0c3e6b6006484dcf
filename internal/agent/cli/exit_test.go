package cli

import (
	"errors"
	"fmt"
	"testing"

	"github.com/hawser-io/hawser/internal/agent/dial"
	"github.com/hawser-io/hawser/internal/agent/join"
	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/report"
	"github.com/hawser-io/hawser/internal/refusal"
)

func TestExitCodes(t *testing.T) {
	notReady := func(connection report.Connection) error {
		return &join.NotReady{Status: local.Status{Agent: "1.0", Facts: report.Facts{Connection: connection}}}
	}
	for name, test := range map[string]struct {
		err  error
		want int
	}{
		"done":                             {nil, codeDone},
		"anything":                         {errors.New("the disk is full"), codeFailed},
		"the command line":                 {&usageError{errors.New("--manager is missing")}, codeUsage},
		"refused":                          {fmt.Errorf("join: %w", refusal.New(refusal.TokenUsed)), codeRefused},
		"unreachable":                      {fmt.Errorf("join: %w", &dial.Unreachable{}), codeUnreachable},
		"unfit":                            {&failed{&join.Unfit{Problems: []string{"no systemd"}}}, codeUnfit},
		"not ready, no agent":              {&join.NotReady{}, codeFailed},
		"not ready, though connected":      {notReady(report.Connection{Up: true}), codeFailed},
		"not ready, turned away":           {notReady(report.Connection{Reason: "MachineRevoked"}), codeRefused},
		"not ready, as it never connected": {notReady(report.Connection{Error: "no route to host"}), codeUnreachable},
	} {
		if got := exitCode(test.err); got != test.want {
			t.Errorf("%s: exit code %d, want %d", name, got, test.want)
		}
	}
}

func TestMisspeltCommandLines(t *testing.T) {
	for _, arguments := range [][]string{
		{"joyn"}, {"join"}, {"join", "--manager", "gw.example"}, {"join", "--manager", "gw.example", "--token", "hawser_x", "--token-file", "-"},
		{"join", "--manager", "gw:1:2", "--token", "hawser_x"}, {"join", "--manager", "gw.example", "--token", "hawser_x"},
		{"join", "--manager", "gw.example", "--token", "hawser_x", "--timeout", "0s"}, {"status", "-o", "yaml"}, {"leave", "now"}, {"version", "-o", "xml"},
	} {
		var complaint writer
		program := &Program{Stdout: &complaint, Stderr: &complaint}
		if code := program.Run(t.Context(), arguments); code != codeUsage {
			t.Errorf("%q: exit code %d, %q", arguments, code, complaint.text)
		}
	}
}

// writer keeps the last thing that was said.
type writer struct{ text string }

func (w *writer) Write(p []byte) (int, error) {
	w.text = string(p)
	return len(p), nil
}
