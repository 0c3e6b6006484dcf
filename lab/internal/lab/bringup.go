package lab

import (
	"context"
	"net/netip"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/lab/internal/api"
	"github.com/hawser-io/hawser/lab/internal/build"
	"github.com/hawser-io/hawser/lab/internal/cluster"
	"github.com/hawser-io/hawser/lab/internal/image"
	"github.com/hawser-io/hawser/lab/internal/mesh"
	"github.com/hawser-io/hawser/lab/internal/setup"
)

// bringUp is the start order of the lab. What does not need one another runs side by side. Parts that live on run
// with the context given, which outlives the bringing up, and are started with live.
func (l *lab) bringUp(whole context.Context, live func(func() error)) error {
	ctx, cancel := context.WithTimeout(whole, api.BringUpDeadline)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return l.bringUpMachines(ctx) })
	group.Go(func() error { return l.bringUpCluster(ctx, func() { live(l.newBalancer(whole)) }) })
	return group.Wait()
}

func (l *lab) bringUpCluster(ctx context.Context, balance func()) error {
	config := l.clusterConfig()
	step := func(name string, do func(context.Context) error) error { return l.progress.Step(ctx, name, do) }
	if err := step("start containerd", func(ctx context.Context) error {
		return cluster.StartRuntime(ctx, config, l.supervisor)
	}); err != nil {
		return err
	}
	first, firstCtx := errgroup.WithContext(ctx)
	first.Go(func() error { return l.progress.Step(firstCtx, "push and pull images", l.provideImages) })
	first.Go(func() error {
		return l.progress.Step(firstCtx, "start Kubernetes", func(ctx context.Context) (err error) {
			l.client, err = cluster.Start(ctx, config, l.supervisor)
			return err
		})
	})
	if err := first.Wait(); err != nil {
		return err
	}
	balance()
	second, secondCtx := errgroup.WithContext(ctx)
	second.Go(func() error {
		return l.progress.Step(secondCtx, "wait for the node", func(ctx context.Context) error {
			return cluster.WaitNode(ctx, l.client)
		})
	})
	second.Go(func() error {
		return l.progress.Step(secondCtx, "install CoreDNS", func(ctx context.Context) error {
			return cluster.InstallDNS(ctx, config, l.client)
		})
	})
	second.Go(func() error { return l.installMesh(secondCtx) })
	return second.Wait()
}

// newBalancer gives addresses to Services; the gateway's becomes a name that machines resolve.
func (l *lab) newBalancer(ctx context.Context) func() error {
	gateway := mesh.Namespace + "/" + mesh.GatewayName
	changed := func(service string, addrs []netip.Addr) {
		if service == gateway {
			l.resolver.Set("gateway", addrs...)
		}
	}
	balancer := cluster.NewBalancer(l.client, balancerFirst, balancerLast, l.network, changed, l.log)
	l.balancer.Store(balancer)
	return func() error { return balancer.Run(ctx) }
}

// meshConfig has a version of Istio be the control plane without a revision.
func (l *lab) meshConfig(istio build.Istio) mesh.Config {
	return mesh.Config{Module: istio.Module, Hub: setup.RegistryAddress(l.layout) + "/istio", Tag: istio.Version.Tag}
}

func (l *lab) installMesh(ctx context.Context) error {
	config := l.meshConfig(l.setup.Artifacts.Istio)
	err := l.progress.Step(ctx, "install Istio", func(ctx context.Context) error { return mesh.Install(ctx, config, l.client) })
	if err != nil {
		return err
	}
	rest, ctx := errgroup.WithContext(ctx)
	rest.Go(func() error {
		return l.progress.Step(ctx, "install the gateway", func(ctx context.Context) error {
			return mesh.InstallGateway(ctx, config, l.client)
		})
	})
	if !l.without(setup.PartDemo) {
		rest.Go(func() error { return l.progress.Step(ctx, "install the demo application", l.installDemo) })
	}
	return rest.Wait()
}

// provideImages fills the registry from the build cache, and containerd from the registry.
func (l *lab) provideImages(ctx context.Context) error { return l.provide(ctx, l.setup.Images()) }

func (l *lab) provide(ctx context.Context, images []setup.Image) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, wanted := range images {
		group.Go(func() error {
			cached, err := wanted.Cached(ctx, l.cache)
			if err != nil {
				return err
			}
			reference := wanted.Reference(setup.RegistryAddress(l.layout))
			if _, err := image.Push(ctx, cached, reference); err != nil {
				return err
			}
			return cluster.Pull(ctx, l.clusterConfig(), reference)
		})
	}
	return group.Wait()
}
