package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// cleanUpTime is how long removing the machines may take after everything else has ended.
const cleanUpTime = 2 * time.Minute

// benchmark measures on a stage and returns what it found.
type benchmark func(ctx context.Context, s *stage, runs int) ([]Figure, error)

// Main runs one benchmark and returns the exit code.
func Main(arguments []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{
		Use: "bench", Short: "Measure Hawser in the lab: one JSON line per figure", SilenceUsage: true, SilenceErrors: true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(
		benchCommand("join", "From the command on the machine to the first served request in each direction", 5, benchJoin),
		benchCommand("memory", "Memory and processor time of an idle, connected agent", 3, benchMemory),
		benchCommand("upkeep", "From a new address of the gateway to the first request served by way of it", 20, benchUpkeep),
		benchCommand("upgrade", "Requests that fail while proxies of another version take over, and while the proxy is restarted", 20, benchUpgrade),
		fanoutCommand(), fanoutBareCommand(),
	)
	root.SetArgs(arguments)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

func benchCommand(name, short string, runs int, measure benchmark) *cobra.Command {
	command := &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if runs < 1 {
				return errors.New("--runs must be at least 1")
			}
			return perform(command.Context(), command.OutOrStdout(), command.ErrOrStderr(), measure, runs)
		},
	}
	command.Flags().IntVar(&runs, "runs", runs, "how often to measure each way")
	return command
}

// perform sets the stage, measures, and clears the stage, whatever happened in between.
func perform(ctx context.Context, stdout, stderr io.Writer, measure benchmark, runs int) (err error) {
	directory, err := os.MkdirTemp("", "hawser-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	shell, err := labShell(ctx, stderr)
	if err != nil {
		return err
	}
	s := newStage(shell, directory)
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
		defer cancel()
		shell.say("removing the machines and objects of the benchmark")
		err = errors.Join(err, s.clear(last))
	}()
	if err := s.set(ctx); err != nil {
		return err
	}
	figures, err := measure(ctx, s, runs)
	if err != nil {
		return err
	}
	return printFigures(stdout, figures)
}
