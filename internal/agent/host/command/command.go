// Package command runs the host's programs. In comes a command, out comes its standard output or an error with what it
// complained of. It knows no program by name and never passes the agent's own environment on.
package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Command is a program with its arguments. None of them may be a secret: every user of the host can read them.
type Command struct {
	// Name is looked up in Path, unless it has a slash.
	Name string
	Args []string
	// Input is what the program reads.
	Input []byte
	// Timeout; 0: a minute.
	Timeout time.Duration
}

// New returns a command without input.
func New(name string, args ...string) Command { return Command{Name: name, Args: args} }

func (c Command) String() string { return strings.Join(append([]string{c.Name}, c.Args...), " ") }

// Path is where administration programs are, whatever the caller's own PATH is.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Error is a command that did not succeed.
type Error struct {
	Command string
	// Code is the exit code, -1 if the program did not run or was killed.
	Code int
	// Complaint is the end of what it printed on standard error.
	Complaint string
	Err       error
}

func (e *Error) Error() string {
	text := fmt.Sprintf("run %s: %v", e.Command, e.Err)
	if e.Complaint != "" {
		text += ": " + e.Complaint
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// Exec runs commands on this host.
type Exec struct{}

// Run waits for the command to end and returns what it printed. Errors are of type *Error; errors.Is finds exec.ErrNotFound in
// one if there is no such program.
func (Exec) Run(ctx context.Context, c Command) ([]byte, error) {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = time.Minute
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it did not end within %s", timeout))
	defer cancel()
	path, err := Find(c.Name)
	if err != nil {
		return nil, &Error{Command: c.Name, Code: -1, Err: err}
	}
	cmd := exec.CommandContext(ctx, path, c.Args...)
	cmd.Env = []string{"PATH=" + Path, "LANG=C.UTF-8", "HOME=/root"}
	cmd.Stdin = bytes.NewReader(c.Input)
	// A grandchild that keeps the output open must not keep the agent.
	cmd.WaitDelay = time.Second
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		failure := &Error{Command: c.String(), Code: -1, Complaint: tail(complaint.String()), Err: err}
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			failure.Code = exit.ExitCode()
		}
		return out.Bytes(), failure
	}
	return out.Bytes(), nil
}

// Find returns the path of a program.
func Find(name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, directory := range filepath.SplitList(Path) {
		if path, err := exec.LookPath(filepath.Join(directory, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w in %s", name, exec.ErrNotFound, Path)
}

// tail keeps errors readable: the last lines of a program's complaint say why it gave up.
func tail(text string) string {
	const most = 500
	text = strings.TrimSpace(text)
	if len(text) > most {
		text = "…" + text[len(text)-most:]
	}
	return text
}
