// Package commandtest is a host's programs as functions, for tests of what runs them. State is kept by whoever gives the
// functions. It must not be used outside of tests.
package commandtest

import (
	"context"
	"errors"
	"fmt"
	"os/exec"

	"github.com/hawser-io/hawser/internal/agent/host/command"
)

// Program gets its arguments and its input and returns what it prints. Its error is one of Exit, or of any other kind.
type Program func(args []string, input string) (string, error)

// Programs by their names, as they are called.
type Programs map[string]Program

// Exit is the error of a program that ends with a code other than 0.
type Exit struct {
	Code      int
	Complaint string
}

func (e *Exit) Error() string { return fmt.Sprintf("exit status %d", e.Code) }

// Run is command.Exec's, with the same errors.
func (p Programs) Run(ctx context.Context, c command.Command) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, &command.Error{Command: c.String(), Code: -1, Err: err}
	}
	program, found := p[c.Name]
	if !found {
		return nil, &command.Error{Command: c.Name, Code: -1, Err: fmt.Errorf("%s: %w", c.Name, exec.ErrNotFound)}
	}
	out, err := program(c.Args, string(c.Input))
	if err == nil {
		return []byte(out), nil
	}
	failure := &command.Error{Command: c.String(), Code: -1, Err: err}
	if exit, ok := errors.AsType[*Exit](err); ok {
		failure.Code, failure.Complaint = exit.Code, exit.Complaint
	}
	return []byte(out), failure
}
