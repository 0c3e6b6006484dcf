package cli

import (
	"fmt"
	"net/url"

	"github.com/spf13/cobra"
)

func (a *app) componentCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "component", Short: "Stop and start parts of the cluster, as `status` names them"}
	cmd.AddCommand(
		&cobra.Command{
			Use: "stop NAME", Short: "End a component's process, which stays away until it is started", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error { return a.componentCall(cmd, args[0], "stop", "stopped") },
		},
		&cobra.Command{
			Use: "start NAME", Short: "Start a component that was stopped, and wait until it is ready", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error { return a.componentCall(cmd, args[0], "start", "ready") },
		})
	return cmd
}

func (a *app) componentCall(cmd *cobra.Command, name, verb, done string) error {
	if err := a.client.Call(cmd.Context(), "POST", "/v1/components/"+url.PathEscape(name)+"/"+verb, nil); err != nil {
		return err
	}
	if a.output == "json" {
		return nil
	}
	fmt.Fprintf(a.out, "%s is %s.\n", name, done)
	return nil
}
