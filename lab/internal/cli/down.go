package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-io/hawser/lab/internal/sandbox"
)

func (a *app) downCommand() *cobra.Command {
	var purge bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop the lab and take away all that it has on the host, except for its state and the build cache",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			lines := newLines(a.errOut)
			unlock, err := sandbox.Lock(cmd.Context(), a.layout)
			if err != nil {
				return err
			}
			defer unlock()
			if err := sandbox.Remove(cmd.Context(), a.layout); err != nil {
				return err
			}
			leftovers, err := sandbox.Leftovers(a.layout)
			if err != nil {
				return err
			}
			if len(leftovers) > 0 {
				return errors.New("the lab is down but left behind: " + strings.Join(leftovers, ", "))
			}
			if purge {
				if err := os.RemoveAll(a.layout.StateDir); err != nil {
					return fmt.Errorf("remove the lab's state: %w", err)
				}
			}
			lines.print("the lab is down")
			return nil
		},
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "remove the state as well: cluster, images, machines, logs")
	return cmd
}
