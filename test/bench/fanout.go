package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-io/hawser/test/bench/fanout"
)

// fanoutTime bounds a run, whatever it waits for.
const fanoutTime = 45 * time.Minute

// bareCommand is hidden: the benchmark runs itself as the server that it compares with.
const bareCommand = "fanout-bare"

func fanoutCommand() *cobra.Command {
	options := fanout.Options{}
	command := &cobra.Command{
		Use: "fanout", Short: "One manager and thousands of simulated agents: changes, memory, writes, and all coming back", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if options.Agents < 2 || options.Rounds < 1 || options.Groups < 1 {
				return errors.New("--agents must be at least 2, --runs and --groups at least 1")
			}
			ctx, cancel := context.WithTimeout(command.Context(), fanoutTime)
			defer cancel()
			if err := locate(ctx, &options); err != nil {
				return err
			}
			options.Say = (&shell{progress: command.ErrOrStderr(), began: time.Now()}).say
			measured, err := fanout.Run(ctx, options)
			if err != nil {
				return err
			}
			return printFigures(command.OutOrStdout(), fanoutFigures(measured))
		},
	}
	flags := command.Flags()
	flags.IntVar(&options.Agents, "agents", 10000, "how many agents")
	flags.IntVar(&options.Groups, "groups", 10, "how many groups they are of")
	flags.IntVar(&options.Rounds, "runs", 3, "how many changes that concern all; there are five times as many that concern one")
	flags.DurationVar(&options.Idle, "idle", 30*time.Second, "how long to leave all alone while writes are counted")
	flags.DurationVar(&options.Rest, "rest", 10*time.Second, "how long after the last write the manager's memory is measured; what it tells as Events is kept for 12 minutes")
	flags.StringVar(&options.Manager, "manager", filepath.Join("bin", "hawser-manager"), "the manager's program")
	return command
}

func fanoutBareCommand() *cobra.Command {
	return &cobra.Command{
		Use: bareCommand, Hidden: true, Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return fanout.ServeBare(command.InOrStdin(), command.OutOrStdout())
		},
	}
}

// locate finds the programs: kube-apiserver and etcd are the lab's, which builds them if it has to.
func locate(ctx context.Context, options *fanout.Options) error {
	var err error
	if options.Root, err = os.Getwd(); err != nil {
		return err
	}
	if options.Manager, err = filepath.Abs(options.Manager); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	options.Bare = []string{program, bareCommand}
	build := exec.CommandContext(ctx, filepath.Join("bin", "hawser-lab"), "build", "kube", "--env")
	build.Stderr = os.Stderr
	out, err := build.Output()
	if err != nil {
		return fmt.Errorf("build kube-apiserver and etcd: %w", err)
	}
	_, options.Assets, _ = strings.Cut(strings.TrimSpace(string(out)), "=")
	return nil
}

// fanoutFigures are a run's figures. Their ratio is the bare server's value by Hawser's, the share of what is possible at all that is
// reached.
func fanoutFigures(measured []fanout.Figure) []Figure {
	var all []Figure
	for _, m := range measured {
		f := figure(m.Name, m.Unit, m.Value, m.Baseline)
		if f.Ratio != nil && m.Value != 0 {
			share := rounded(m.Baseline / m.Value)
			f.Ratio = &share
		}
		all = append(all, f)
	}
	return all
}
