package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/lab/internal/build"
	"github.com/hawser-io/hawser/lab/internal/cluster"
	"github.com/hawser-io/hawser/lab/internal/image"
	"github.com/hawser-io/hawser/lab/internal/machine"
	"github.com/hawser-io/hawser/lab/internal/network"
	"github.com/hawser-io/hawser/lab/internal/sandbox"
	"github.com/hawser-io/hawser/lab/internal/setup"
)

// Load balancer addresses, above those of machines.
var (
	balancerFirst = netip.AddrFrom4([4]byte{172, 31, 0, 240})
	balancerLast  = netip.AddrFrom4([4]byte{172, 31, 0, 254})
)

// lab is the running lab, inside the sandbox.
type lab struct {
	layout     sandbox.Layout
	setup      setup.Setup
	log        *slog.Logger
	cache      *build.Cache
	progress   *sandbox.Progress
	supervisor *sandbox.Supervisor
	server     *sandbox.Server
	network    *network.Network
	resolver   *network.Resolver
	registry   *image.Registry
	machines   *machine.Manager
	client     *cluster.Client
	// balancer is set once the cluster runs; the API may be asked before.
	balancer atomic.Pointer[cluster.Balancer]
}

// supervise is the sandbox's second process: it reads the setup, brings everything up, and serves the API until it is told
// to end.
func supervise(ctx context.Context, layout sandbox.Layout, stdin io.Reader) error {
	var prepared setup.Setup
	if err := json.NewDecoder(stdin).Decode(&prepared); err != nil {
		return fmt.Errorf("no setup from `hawser-lab up`, which must have died: %w", err)
	}
	l, err := newLab(layout, prepared)
	if err != nil {
		return err
	}
	return l.run(ctx)
}

func newLab(layout sandbox.Layout, prepared setup.Setup) (*lab, error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	cache, err := build.OpenCache(prepared.Cache)
	if err != nil {
		return nil, err
	}
	config := network.DefaultConfig()
	config.Log = log
	cables, err := network.New(config)
	if err != nil {
		return nil, err
	}
	registry, err := image.OpenRegistry(filepath.Join(layout.StateDir, "registry"))
	if err != nil {
		return nil, err
	}
	l := &lab{
		layout: layout, setup: prepared, log: log, cache: cache, registry: registry, network: cables,
		machines:   newMachines(layout, prepared, cables, log),
		progress:   sandbox.NewProgress(),
		supervisor: sandbox.NewSupervisor(layout, log),
		server:     sandbox.NewServer(layout),
		resolver:   network.NewResolver(netip.AddrPortFrom(config.Router.Addr(), 53), "lab.internal"),
	}
	// A name that only a resolver of the machines' site can know, in a range for documentation (RFC 5737).
	l.resolver.Set("only-on-host", netip.AddrFrom4([4]byte{192, 0, 2, 10}))
	l.routes()
	return l, nil
}

func newMachines(layout sandbox.Layout, prepared setup.Setup, cables *network.Network, log *slog.Logger) *machine.Manager {
	config := machine.DefaultConfig()
	config.Dir, config.Rootfs, config.Log = setup.MachineDir(layout), prepared.MachineRoot, log
	return machine.NewManager(config, cables)
}

// run starts the parts in their order and keeps the long-lived ones until the context ends.
func (l *lab) run(ctx context.Context) error {
	defer l.supervisor.Stop()
	if err := sandbox.ConnectNode(l.layout); err != nil {
		return err
	}
	if err := l.network.Setup(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return l.server.Run(ctx) })
	group.Go(func() error { return l.registry.Run(ctx, setup.RegistryAddress(l.layout)) })
	group.Go(func() error { return l.resolver.Run(ctx) })
	group.Go(func() error { return l.machines.Run(ctx) })
	group.Go(func() error {
		err := l.bringUp(ctx, group.Go)
		if ctx.Err() == nil {
			l.progress.Finish(err)
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			// A lab that failed stays, so that its logs and its cluster can be looked at.
			l.log.Error("the lab did not come up", "error", err)
		}
		return nil
	})
	return group.Wait()
}

func (l *lab) without(part string) bool { return slices.Contains(l.setup.Without, part) }

func (l *lab) clusterConfig() cluster.Config {
	registry := setup.RegistryAddress(l.layout)
	images := l.setup.Images()
	return cluster.Config{
		StateDir:     l.layout.StateDir,
		NodeAddress:  l.layout.NodeAddress.Addr(),
		Kube:         l.setup.Artifacts.Kube,
		Registry:     registry,
		PauseImage:   images[0].Reference(registry),
		CoreDNSImage: images[1].Reference(registry),
		UpstreamDNS:  l.network.Router().Addr(),
	}
}
