package ctl

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/ctl/cluster"
	"github.com/hawser-io/hawser/internal/ctl/describe"
)

func (t *tool) describeCommand() *cobra.Command {
	machine := &cobra.Command{
		Use:               "machine NAME",
		Aliases:           []string{"machines", "vm"},
		Short:             "Show all that is known of a machine",
		Long:              "Shows a machine with its host, connection, proxy, certificates, WorkloadEntry, conditions and last events.\ndocs/guide/conditions.md says what each condition means and what to do.",
		Example:           "  hawser describe machine ratings-vm-1 -n shop",
		Args:              arguments(1, 1, "machine"),
		ValidArgsFunction: t.completeNames(cluster.Machines()),
		RunE: func(c *cobra.Command, args []string) error {
			kube, namespace, err := t.connect()
			if err != nil {
				return err
			}
			return t.describeMachine(c.Context(), kube, namespace, args[0])
		},
	}
	return parent("describe", "Show a machine in detail", machine)
}

func (t *tool) describeMachine(ctx context.Context, c *cluster.Cluster, namespace, name string) error {
	object, err := c.Get(ctx, cluster.Machines(), namespace, name)
	if err != nil {
		return err
	}
	machine, err := cluster.Decode[v1alpha1.Machine](object)
	if err != nil {
		return err
	}
	known := describe.Machine{Machine: machine, Now: t.now(), Colour: t.coloured()}
	if entry := machine.Status.WorkloadEntry; entry != "" {
		if known.Entry, err = c.Get(ctx, cluster.WorkloadEntries(), namespace, entry); err != nil {
			known.Entry = nil
			known.Remarks = append(known.Remarks, fmt.Sprintf("The WorkloadEntry is not shown: %v.", err))
		}
	}
	if known.Events, err = eventsOf(ctx, c, namespace, name); err != nil {
		known.Remarks = append(known.Remarks, fmt.Sprintf("Events are not shown: %v.", err))
	}
	_, err = fmt.Fprint(t.Out, known)
	return err
}

func eventsOf(ctx context.Context, c *cluster.Cluster, namespace, machine string) ([]corev1.Event, error) {
	about := fields.Set{"involvedObject.kind": "Machine", "involvedObject.name": machine}
	found, err := c.List(ctx, cluster.Events(), namespace, metav1.ListOptions{FieldSelector: about.String()})
	if err != nil {
		return nil, err
	}
	var events []corev1.Event
	for i := range found.Items {
		event, err := cluster.Decode[corev1.Event](&found.Items[i])
		if err != nil {
			return nil, err
		}
		events = append(events, *event)
	}
	return events, nil
}
