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
			"key from now on. The host itself is not touched. This cannot be taken back; once the Machine object is deleted the agent puts\n" +
			"its host back, and the host can join again.\n\n" +
			"Istio cannot revoke the workload certificate that the machine's proxy holds already: it is valid until it expires, 24 hours\n" +
			"by default, and whoever holds it can have istiod renew it. If the machine is in wrong hands, give the group another\n" +
			"ServiceAccount and deny the old one with an AuthorizationPolicy.",
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
			fmt.Fprintf(t.ErrOut, "To have its agent put the host back, and to let the host join again: kubectl delete machine -n %s %s\n", namespace, args[0])
			return nil
		},
	}
	return parent("revoke", "Cut a machine off", machine)
}
