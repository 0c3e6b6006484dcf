package cli

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-io/hawser/lab/internal/api"
)

func (a *app) gatewayCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "gateway", Short: "Show and change the addresses of the mesh's gateway"}
	cmd.AddCommand(
		a.gatewayAddressCommand(),
		a.gatewayMoveCommand(),
		a.gatewayAddCommand(),
		a.gatewaySilenceCommand(),
		a.gatewayPublishCommand(),
	)
	return cmd
}

func (a *app) gatewayAddressCommand() *cobra.Command {
	var byName bool
	cmd := &cobra.Command{
		Use: "address", Short: "Print the gateway's addresses, one a line", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if byName {
				fmt.Fprintln(a.out, api.GatewayName)
				return nil
			}
			var addrs []netip.Addr
			if err := a.client.Call(cmd.Context(), "GET", "/v1/gateway", &addrs); err != nil {
				return err
			}
			return a.printAddresses(addrs)
		},
	}
	cmd.Flags().BoolVar(&byName, "name", false, "print the name that machines resolve to the addresses")
	return cmd
}

func (a *app) gatewayMoveCommand() *cobra.Command {
	var overlap time.Duration
	cmd := &cobra.Command{
		Use:   "move",
		Short: "Give the gateway another address and print it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.newAddress(cmd, "move?overlap="+url.QueryEscape(overlap.String()))
		},
	}
	cmd.Flags().DurationVar(&overlap, "overlap", 0, "how long the old address serves beside the new one")
	return cmd
}

func (a *app) gatewayAddCommand() *cobra.Command {
	return &cobra.Command{
		Use: "add", Short: "Give the gateway one more address and print it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.newAddress(cmd, "add") },
	}
}

// newAddress has the gateway get an address and prints it.
func (a *app) newAddress(cmd *cobra.Command, how string) error {
	var addr netip.Addr
	if err := a.client.Call(cmd.Context(), "POST", "/v1/gateway/"+how, &addr); err != nil {
		return err
	}
	return a.printAddresses([]netip.Addr{addr})
}

func (a *app) gatewaySilenceCommand() *cobra.Command {
	return &cobra.Command{
		Use: "silence ADDRESS", Short: "Have an address of the gateway answer no more, and nobody told; the next move ends it", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.client.Call(cmd.Context(), "POST", "/v1/gateway/silence/"+url.PathEscape(args[0]), nil)
		},
	}
}

func (a *app) gatewayPublishCommand() *cobra.Command {
	return &cobra.Command{
		Use: "publish name|addresses", Short: "Have the gateway's Service say its name, as on some clouds, or its addresses", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.client.Call(cmd.Context(), "POST", "/v1/gateway/publish/"+url.PathEscape(args[0]), nil)
		},
	}
}

func (a *app) printAddresses(addrs []netip.Addr) error {
	if a.output == "json" {
		return json.NewEncoder(a.out).Encode(addrs)
	}
	for _, addr := range addrs {
		fmt.Fprintln(a.out, addr)
	}
	return nil
}
