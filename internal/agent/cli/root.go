package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

const long = `hawser-agent makes this machine a member of an Istio mesh and keeps it one.

Exit codes:
  0  done
  1  it failed, or the machine did not get ready; the message says why
  2  the command line is wrong
  3  the manager refused
  4  the manager was not reached
  5  this host is not fit to join`

// Run runs one command and returns the exit code.
func (p *Program) Run(ctx context.Context, arguments []string) int {
	root := p.root()
	root.SetArgs(arguments)
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return codeDone
	}
	var ran *failed
	if !errors.As(err, &ran) {
		err = &usageError{err}
	}
	p.complain(err)
	return exitCode(err)
}

// complain says what went wrong. If that cannot be written, the exit code still tells.
func (p *Program) complain(err error) { _, _ = fmt.Fprintf(p.Stderr, "hawser-agent: %v\n", err) }

func (p *Program) root() *cobra.Command {
	root := &cobra.Command{
		Use: "hawser-agent", Short: "Make this machine a member of the mesh, and keep it one", Long: long,
		SilenceErrors: true, SilenceUsage: true,
	}
	root.SetUsageFunc(usage)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(p.joinCommand(), p.leaveCommand(), p.drainCommand(), p.statusCommand(), p.runCommand(), p.versionCommand())
	return root
}

// failed marks the error of a command that ran; any other error is one of usage.
type failed struct{ err error }

func (f *failed) Error() string { return f.err.Error() }

func (f *failed) Unwrap() error { return f.err }

// ran wraps a command's work so that its errors are told from those of usage.
func ran(work func(ctx context.Context, arguments []string) error) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, arguments []string) error {
		if err := work(command.Context(), arguments); err != nil {
			return &failed{err}
		}
		return nil
	}
}

// outputFlag adds -o.
func outputFlag(command *cobra.Command, into *string) {
	command.Flags().StringVarP(into, "output", "o", "", "output format: json")
}

func checkOutput(output string) error {
	if output != "" && output != "json" {
		return &usageError{fmt.Errorf("unknown output format %q: use -o json or leave it out", output)}
	}
	return nil
}

func readAllLimited(r io.Reader) (string, error) {
	content, err := io.ReadAll(io.LimitReader(r, 64<<10))
	return string(content), err
}
