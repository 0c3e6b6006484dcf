package ctl

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hawser-io/hawser/internal/ctl/cluster"
)

func (t *tool) tokenCommand() *cobra.Command {
	return parent("token", "Let machines join: make, show and revoke join tokens", t.tokenCreateCommand(), t.tokenListCommand(), t.tokenRevokeCommand())
}

func (t *tool) tokenRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "revoke NAME",
		Short:             "End a join token before its time",
		Long:              "Ends a join token, for good. Machines that joined with it stay: revoke them one by one.",
		Example:           "  hawser token revoke k3j9x0q2ab -n shop",
		Args:              arguments(1, 1, "join token"),
		ValidArgsFunction: t.completeNames(cluster.JoinTokens()),
		RunE: func(c *cobra.Command, args []string) error {
			kube, namespace, err := t.connect()
			if err != nil {
				return err
			}
			if _, err := kube.Merge(c.Context(), cluster.JoinTokens(), namespace, args[0], revocation()); err != nil {
				return err
			}
			_, err = fmt.Fprintf(t.Out, "join token %s/%s revoked\n", namespace, args[0])
			return err
		},
	}
}
