package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// Stdio are the streams of a command in a machine; nil streams are /dev/null.
type Stdio struct {
	In       io.Reader
	Out, Err io.Writer
}

// Argv is the command that runs argv in a machine when it is run in the lab's namespaces as root: for callers that hand
// over their process to it, such as an interactive shell. The process id in it is of the process namespace that this is
// called in. The terminal is the value for TERM.
func (s *Store) Argv(name, terminal string, argv ...string) ([]string, error) {
	if len(argv) == 0 {
		return nil, fmt.Errorf("machine: no command to run on %s", name)
	}
	pid, err := s.Leader(name)
	if err != nil {
		return nil, err
	}
	if terminal == "" {
		terminal = "dumb"
	}
	return append([]string{
		"nsenter", "--target", strconv.Itoa(pid), "--all", "--",
		"/usr/bin/env", "--chdir=/root", "-i", "HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/bash", "LANG=C.UTF-8", "TERM=" + terminal,
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}, argv...), nil
}

// Exec runs a command as root in a running machine and waits for it. The command's own exit code is returned without an
// error; death by a signal is 128 and the signal's number, as a shell has it. When the context ends, so does the command.
func (s *Store) Exec(ctx context.Context, name string, argv []string, stdio Stdio) (int, error) {
	full, err := s.Argv(name, os.Getenv("TERM"), argv...)
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, full[0], full[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdio.In, stdio.Out, stdio.Err
	if !isTerminal(stdio.In) {
		// nsenter forks, so that ending it alone would leave the command running; a terminal's signals reach both anyway.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	}
	cmd.WaitDelay = 2 * time.Second
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return 0, fmt.Errorf("machine: run %s on %s: %w", argv[0], name, context.Cause(ctx))
	case err == nil:
		return 0, nil
	case !errors.As(err, &exit):
		return 0, fmt.Errorf("machine: run %s on %s: %w", argv[0], name, err)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}

func isTerminal(in io.Reader) bool {
	file, ok := in.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
