package cli

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hawser-io/hawser/lab/internal/network"
)

func (a *app) linkCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "link", Short: "Cut and restore the links of machines"}
	cmd.AddCommand(a.linkCutCommand(), &cobra.Command{
		Use: "restore NAME", Short: "Mend a machine's link", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.linkCall(cmd, args[0], "restore") },
	})
	return cmd
}

func (a *app) linkCutCommand() *cobra.Command {
	var from, to bool
	cmd := &cobra.Command{
		Use:   "cut NAME",
		Short: "Drop all packets of a machine, of connections that exist as well",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			direction := network.Both
			switch {
			case from && to:
				return errors.New("--from and --to together are the default: give neither")
			case from:
				direction = network.From
			case to:
				direction = network.To
			}
			return a.linkCall(cmd, args[0], "cut?direction="+string(direction))
		},
	}
	cmd.Flags().BoolVar(&from, "from", false, "drop only what the machine sends")
	cmd.Flags().BoolVar(&to, "to", false, "drop only what is sent to the machine")
	return cmd
}

func (a *app) linkCall(cmd *cobra.Command, name, verb string) error {
	var state network.LinkState
	if err := a.client.Call(cmd.Context(), "POST", machinePath(name, "link/"+verb), &state); err != nil {
		return err
	}
	if a.output == "json" {
		return json.NewEncoder(a.out).Encode(state)
	}
	fmt.Fprintf(a.out, "The link of %s is %s.\n", name, state)
	return nil
}
