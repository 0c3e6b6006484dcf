package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// shell runs the public commands as a user of the lab does.
type shell struct {
	// root is the checkout, whose bin and dist hold what was built.
	root     string
	progress io.Writer
	began    time.Time
}

// labShell gives this process the lab's kubeconfig and commands, as `eval "$(hawser-lab env)"` does to a shell. It fails when the
// lab is not up.
func labShell(ctx context.Context, progress io.Writer) (*shell, error) {
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	s := &shell{root: root, progress: progress, began: time.Now()}
	lab := filepath.Join(root, "bin", "hawser-lab")
	out, err := s.output(ctx, nil, "sh", "-c", `eval "$("$0" env)" && "$0" status >/dev/null && printf '%s\n%s\n' "$KUBECONFIG" "$PATH"`, lab)
	if err != nil {
		return nil, fmt.Errorf("the lab is not up: run `sudo make demo` first, and this from the top of the checkout: %w", err)
	}
	kubeconfig, path, _ := strings.Cut(strings.TrimSpace(out), "\n")
	return s, errors.Join(os.Setenv("KUBECONFIG", kubeconfig),
		os.Setenv("PATH", filepath.Join(root, "bin")+string(os.PathListSeparator)+path))
}

// say tells what is being done.
func (s *shell) say(format string, arguments ...any) {
	// Progress that nobody reads is no reason to end.
	_, _ = fmt.Fprintf(s.progress, "%6.1fs  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, arguments...))
}

// run runs a command for its effect.
func (s *shell) run(ctx context.Context, name string, arguments ...string) error {
	_, err := s.output(ctx, nil, name, arguments...)
	return err
}

// output returns what a command prints; what it complains of is in the error.
func (s *shell) output(ctx context.Context, stdin io.Reader, name string, arguments ...string) (string, error) {
	command := s.command(ctx, name, arguments...)
	var stdout, stderr bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = stdin, &stdout, &stderr
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(arguments, " "), err, said(stderr.String(), stdout.String()))
	}
	return stdout.String(), nil
}

// command prepares a command in a process group of its own, so that an interrupt from the terminal reaches the benchmark alone,
// which ends its commands and then cleans up.
func (s *shell) command(ctx context.Context, name string, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, name, arguments...)
	command.Dir = s.root
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGTERM) }
	command.WaitDelay = 5 * time.Second
	return command
}

// said is the end of what a command complained of.
func said(texts ...string) string {
	text := strings.TrimSpace(strings.Join(texts, "\n"))
	return text[max(0, len(text)-2000):]
}

// until repeats an observation until it holds. It fails after the limit, with the last reason.
func until(ctx context.Context, limit, pause time.Duration, observe func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTooLong)
	defer cancel()
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	var last error
	for {
		if err := observe(ctx); err == nil {
			return nil
		} else if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			if !errors.Is(context.Cause(ctx), errTooLong) {
				return ctx.Err()
			}
			return fmt.Errorf("%w (%s); last: %w", errTooLong, limit, last)
		case <-ticker.C:
		}
	}
}

var errTooLong = errors.New("it did not happen in time")
