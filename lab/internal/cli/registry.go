package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hawser-io/hawser/lab/internal/setup"
)

func (a *app) registryCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "registry",
		Short: "Print the address of the lab's registry, which takes images from this host and serves them to the cluster",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			address := setup.RegistryAddress(a.layout)
			if a.output == "json" {
				return json.NewEncoder(a.out).Encode(map[string]string{"address": address})
			}
			_, err := fmt.Fprintln(a.out, address)
			return err
		},
	}
}
