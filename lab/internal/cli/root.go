package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hawser-io/hawser/lab/internal/sandbox"
)

// exitCode is the exit status of a command that ran inside the lab and is passed on.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// Main runs the program and returns its exit status.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := NewCommand(sandbox.DefaultLayout(), os.Geteuid(), os.Stdout, os.Stderr).ExecuteContext(ctx)
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hawser-lab:", err)
		return 1
	}
	return 0
}

// noRoot annotates commands that any user may run.
const noRoot = "no-root"

// app is what the commands share.
type app struct {
	layout sandbox.Layout
	client *sandbox.Client
	out    io.Writer
	errOut io.Writer
	output string
	// user is the effective user id.
	user int
}

// NewCommand makes the command tree for a user id; most commands want 0.
func NewCommand(layout sandbox.Layout, user int, out, errOut io.Writer) *cobra.Command {
	a := &app{layout: layout, client: sandbox.NewClient(layout), user: user, out: out, errOut: errOut}
	root := &cobra.Command{
		Use:           "hawser-lab",
		Short:         "A real Kubernetes, a real Istio and real machines in one sandbox on this host",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if a.output != "" && a.output != "json" {
				return fmt.Errorf("unknown output %q: only json can be chosen", a.output)
			}
			if _, allowed := cmd.Annotations[noRoot]; !allowed && a.user != 0 {
				return errors.New("the lab makes namespaces, mounts and links, and needs root: use sudo")
			}
			return nil
		},
	}
	root.SetOut(out)
	root.SetErr(errOut)
	root.PersistentFlags().StringVarP(&a.output, "output", "o", "", `print "json" in place of text`)
	root.AddCommand(
		a.upCommand(), a.downCommand(), a.statusCommand(), a.logsCommand(),
		a.vmCommand(), a.componentCommand(), a.etcdCommand(), a.linkCommand(), a.gatewayCommand(), a.istioCommand(), a.registryCommand(),
		a.kubeconfigCommand(), a.envCommand(), a.buildCommand(),
	)
	root.AddCommand(a.insideMachineCommands()...)
	return root
}
