package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/hawser-io/hawser/internal/version"
)

func (p *Program) versionCommand() *cobra.Command {
	output := ""
	command := &cobra.Command{
		Use:   "version",
		Short: "Show the version of this binary",
		Args:  cobra.NoArgs,
		RunE: ran(func(context.Context, []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			info := version.Get()
			if output == "json" {
				return writeJSON(p.Stdout, info, "  ")
			}
			p.say("hawser-agent %s (%s, %s)\n", info.Version, info.Go, info.Platform)
			return nil
		}),
	}
	outputFlag(command, &output)
	return command
}
