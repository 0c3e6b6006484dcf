package ctl

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hawser-io/hawser/internal/ctl/cluster"
)

// revocation is the change that ends a machine or a token. The API server refuses to take it back.
func revocation() map[string]any {
	return map[string]any{"spec": map[string]any{"revoked": true}}
}

func (t *tool) revokeCommand() *cobra.Command {
	machine := &cobra.Command{
		Use:     "machine NAME",
		Aliases: []string{"vm"},
		Short:   "Cut a machine off from the mesh, at once and for good",
		Long: "Ends a machine's membership: the manager cuts its connection, takes it out of rotation, and refuses its certificate and its\n" +
			"key from now on. This cannot be taken back; the host can join again once the Machine object is deleted. The workload\n" +
			"certificate that its proxy holds already stays valid until it expires, 24 hours at most: Istio cannot revoke it.",
		Example:           "  hawser revoke machine ratings-vm-1 -n shop",
		Args:              arguments(1, 1, "machine"),
		ValidArgsFunction: t.completeNames(cluster.Machines()),
		RunE: func(c *cobra.Command, args []string) error {
			kube, namespace, err := t.connect()
			if err != nil {
				return err
			}
			if _, err := kube.Merge(c.Context(), cluster.Machines(), namespace, args[0], revocation()); err != nil {
				return err
			}
			fmt.Fprintf(t.Out, "machine %s/%s revoked\n", namespace, args[0])
			fmt.Fprintf(t.ErrOut, "To forget it, so that the host can join again: kubectl delete machine -n %s %s\n", namespace, args[0])
			return nil
		},
	}
	return parent("revoke", "Cut a machine off", machine)
}
