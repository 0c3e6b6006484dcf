package command_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/agent/host/command"
)

func shell(script string) command.Command { return command.New("sh", "-c", script) }

func TestRun(t *testing.T) {
	t.Setenv("HAWSER_TEST_SECRET", "of the agent")
	slow := shell("sleep 60")
	slow.Timeout = 50 * time.Millisecond
	for _, c := range []struct {
		name    string
		command command.Command
		out     string
		failure string
		code    int
	}{
		{name: "output", command: shell("echo one; echo two >&2"), out: "one\n"},
		{name: "input", command: command.Command{Name: "cat", Input: []byte("what it reads")}, out: "what it reads"},
		{name: "no environment of the agent's", command: shell("echo $HAWSER_TEST_SECRET $LANG"), out: "C.UTF-8\n"},
		{name: "exit code and complaint", command: shell("echo half; echo it broke >&2; exit 3"), out: "half\n", failure: "exit status 3: it broke", code: 3},
		{name: "end of a long complaint", command: shell("yes no | head -c 9000 >&2; echo why >&2; exit 1"), failure: "no\nwhy", code: 1},
		{name: "killed", command: shell("kill -9 $$"), failure: "signal: killed", code: -1},
		{name: "too slow", command: slow, failure: "it did not end within 50ms", code: -1},
		{name: "no such program", command: command.New("no-such-program", "with", "arguments"), failure: "run no-such-program: ", code: -1},
		{name: "no such file", command: command.New("/no/such/program"), failure: "no such file", code: -1},
		{name: "a grandchild keeps the output open", command: shell("echo done; sleep 30 &"), out: "done\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := command.Exec{}.Run(t.Context(), c.command)
			if string(out) != c.out {
				t.Errorf("printed %q, want %q", out, c.out)
			}
			if c.failure == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			failure, ok := errors.AsType[*command.Error](err)
			if !ok || failure.Code != c.code || !strings.Contains(err.Error(), c.failure) || len(err.Error()) > 700 {
				t.Errorf("error %v, want code %d and %q", err, c.code, c.failure)
			}
		})
	}
}

func TestErrorsTellThatThereIsNoProgramAndThatTheCallerGaveUp(t *testing.T) {
	if _, err := (command.Exec{}).Run(t.Context(), command.New("no-such-program")); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("no such program: %v", err)
	}
	cause := errors.New("the agent ends")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := (command.Exec{}).Run(ctx, command.New("true")); !errors.Is(err, cause) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestFindLooksWhereAdministrationProgramsAre(t *testing.T) {
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, "sh"), []byte("#!/bin/false\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", directory)
	if path, err := command.Find("sh"); err != nil || filepath.Dir(path) == directory {
		t.Errorf("found %s, %v", path, err)
	}
	if path, err := command.Find("./relative"); err != nil || path != "./relative" {
		t.Errorf("found %s, %v", path, err)
	}
}
