package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-io/hawser/lab/internal/api"
	"github.com/hawser-io/hawser/lab/internal/sandbox"
)

// phaseDown is the phase of a lab that does not run.
const phaseDown sandbox.Phase = "down"

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show what runs; of a lab that does not, what it left on the host",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			current, err := a.ask(cmd.Context())
			if err != nil {
				return err
			}
			return a.printReport(current)
		},
	}
}

// ask asks the lab how it is.
func (a *app) ask(ctx context.Context) (api.Report, error) {
	var current api.Report
	err := a.client.Call(ctx, "GET", "/v1/status", &current)
	if !errors.Is(err, sandbox.ErrDown) {
		return current, err
	}
	leftovers, err := sandbox.Leftovers(a.layout)
	return api.Report{Phase: phaseDown, Leftovers: leftovers}, err
}

func (a *app) printReport(current api.Report) error {
	if a.output == "json" {
		encoder := json.NewEncoder(a.out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(current)
	}
	table := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "The lab is %s.\n", current.Phase)
	if current.Reason != "" {
		fmt.Fprintf(table, "Reason: %s\n", current.Reason)
	}
	if len(current.Leftovers) > 0 {
		fmt.Fprintln(table, "It left on this host (`hawser-lab down` removes it):")
		for _, leftover := range current.Leftovers {
			fmt.Fprintf(table, "  %s\n", leftover)
		}
	}
	if len(current.Components) > 0 {
		fmt.Fprintln(table, "\nCOMPONENT\tSTATE\tSINCE\tRESTARTS\tLAST EXIT")
		for _, component := range current.Components {
			fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\n", component.Name, component.State,
				time.Since(component.Since).Round(time.Second), component.Restarts, component.LastExit)
		}
	}
	if len(current.Machines) > 0 {
		fmt.Fprintln(table, "\nMACHINE\tADDRESS\tSTATE\tBOOTS\tMESSAGE")
		for _, status := range current.Machines {
			fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\n", status.Name, status.Address, status.State, status.Boot, status.Message)
		}
	}
	if len(current.Gateway) > 0 {
		fmt.Fprintf(table, "\nGateway: %v\nKubeconfig: %s\n", current.Gateway, a.kubeconfig())
	}
	return table.Flush()
}
