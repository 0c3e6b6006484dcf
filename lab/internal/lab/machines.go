package lab

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/lab/internal/demo"
	"github.com/hawser-io/hawser/lab/internal/machine"
	"github.com/hawser-io/hawser/lab/internal/setup"
)

// bringUpMachines makes the machines of the demonstration, each with its service, unless they are there.
func (l *lab) bringUpMachines(ctx context.Context) error {
	if l.without(setup.PartMachines) {
		return nil
	}
	return l.progress.Step(ctx, "boot the machines", func(ctx context.Context) error {
		group, ctx := errgroup.WithContext(ctx)
		for _, host := range demo.Hosts() {
			group.Go(func() error { return l.bringUpHost(ctx, host) })
		}
		return group.Wait()
	})
}

// bringUpHost leaves a machine off that was switched off.
func (l *lab) bringUpHost(ctx context.Context, host demo.Host) error {
	spec, err := l.machines.Spec(host.Name)
	switch {
	case errors.Is(err, machine.ErrNotFound):
		_, err = l.machines.Add(ctx, host.Name, machine.Options{Resolved: host.Resolved})
	case err == nil && !spec.On:
		return nil
	case err == nil:
		_, err = l.machines.Start(ctx, host.Name)
	}
	if err != nil || l.without(setup.PartDemo) {
		return err
	}
	return demo.Install(ctx, l.machines, host.Name, host.Service, l.setup.DemoApp)
}

// installDemo applies the demonstration's objects and waits for its Deployments.
func (l *lab) installDemo(ctx context.Context) error {
	manifests, err := demo.Manifests(l.setup.DemoImage().Reference(setup.RegistryAddress(l.layout)))
	if err != nil {
		return err
	}
	if err := l.client.Apply(ctx, string(manifests)); err != nil {
		return err
	}
	for _, namespace := range demo.Namespaces() {
		if err := l.client.WaitAllAvailable(ctx, namespace); err != nil {
			return err
		}
	}
	return nil
}
