package machine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"time"
)

// Network gives a machine its link. Attach makes a fresh namespace and returns its path; Detach removes it; Restore mends
// a link that was cut. Each may be repeated.
type Network interface {
	Attach(ctx context.Context, name string, addr netip.Addr) (string, error)
	Detach(ctx context.Context, name string) error
	Restore(ctx context.Context, name string) error
}

// Config is what a Manager needs.
type Config struct {
	// Dir has one folder for each machine and outlives the process.
	Dir string
	// Rootfs is the shared, never written root file system with the packages of Packages.
	Rootfs string
	// Cgroup is the cgroup, below the root of each hierarchy, in which machines get theirs.
	Cgroup string
	// Router is the machines' gateway and nameserver, with their prefix length.
	Router netip.Prefix
	// First is the lowest address given to a machine, and Last the highest.
	First, Last netip.Addr
	// SearchDomain is the domain that a machine's resolver appends: "lab.internal".
	SearchDomain string
	// BootTimeout ends a boot that does not get ready, StopTimeout a shutdown that does not end. Zero means 60 s and 15 s.
	BootTimeout, StopTimeout time.Duration
	// Log receives what happens; nil means slog.Default.
	Log *slog.Logger
}

// DefaultConfig has the lab's values; Rootfs is left to set.
func DefaultConfig() Config {
	return Config{
		Dir:          "/var/lib/hawser-lab/machines",
		Cgroup:       "machines",
		Router:       netip.MustParsePrefix("172.31.0.1/24"),
		First:        netip.MustParseAddr("172.31.0.11"),
		Last:         netip.MustParseAddr("172.31.0.239"),
		SearchDomain: "lab.internal",
	}
}

// Manager makes, boots, stops and removes machines. Its methods may be called from several goroutines; two that concern
// the same machine wait for each other, and those that change anything wait for Run.
type Manager struct {
	*Store
	cfg     Config
	log     *slog.Logger
	network Network
	// boots hands machines over to Run, which owns their goroutines.
	boots chan *runner

	// addresses is held while an address is chosen and until its owner is on disk.
	addresses sync.Mutex

	mu sync.Mutex
	// open is true while Run runs; before, and after, machines stay as they are.
	open    bool
	busy    map[string]bool
	status  map[string]Status
	runners map[string]*runner
	// changed is closed and replaced whenever one of the maps above changes.
	changed chan struct{}
}

// NewManager makes a Manager; it touches nothing.
func NewManager(cfg Config, network Network) *Manager {
	if cfg.BootTimeout == 0 {
		cfg.BootTimeout = time.Minute
	}
	if cfg.StopTimeout == 0 {
		cfg.StopTimeout = 15 * time.Second
	}
	log := cfg.Log
	if log == nil {
		log = slog.Default()
	}
	return &Manager{
		Store: NewStore(cfg.Dir), cfg: cfg, log: log, network: network,
		boots: make(chan *runner), changed: make(chan struct{}),
		busy: map[string]bool{}, status: map[string]Status{}, runners: map[string]*runner{},
	}
}

// Run boots every machine whose power switch is on, keeps machines running until the context ends, then shuts all of
// them down, side by side, and returns when nothing of them runs any more. Power switches stay as they are.
func (m *Manager) Run(ctx context.Context) error {
	if err := m.clearLeftovers(ctx); err != nil {
		return err
	}
	specs, err := m.Specs()
	if err != nil {
		return err
	}
	var machines sync.WaitGroup
	defer func() {
		m.update(func() { m.open = false })
		machines.Wait()
		removeEmptyCgroups(m.cfg.Cgroup)
	}()
	m.update(func() { m.open = true })
	boot := func(r *runner) { machines.Go(func() { m.runMachine(ctx, r) }) }
	for _, spec := range specs {
		if !spec.On {
			continue
		}
		if r, started := m.newRunner(spec); started {
			boot(r)
		}
	}
	for {
		select {
		case r := <-m.boots:
			boot(r)
		case <-ctx.Done():
			return nil
		}
	}
}

// Add makes a machine and boots it, unless the options say otherwise. A machine of that name must not exist.
func (m *Manager) Add(ctx context.Context, name string, opts Options) (Status, error) {
	if err := validName(name); err != nil {
		return Status{}, err
	}
	release, err := m.claim(ctx, name)
	if err != nil {
		return Status{}, err
	}
	defer release()
	spec, err := m.create(ctx, name, opts)
	if err != nil {
		return Status{}, err
	}
	if opts.Stopped {
		return m.Status(name)
	}
	return m.start(ctx, spec)
}

// Remove powers a machine off, hard, and deletes its disk. A machine that does not exist is not an error.
func (m *Manager) Remove(ctx context.Context, name string) error {
	if err := validName(name); err != nil {
		return err
	}
	release, err := m.claim(ctx, name)
	if err != nil {
		return err
	}
	defer release()
	if r := m.runner(name); r != nil {
		r.powerOff(hard)
		if err := r.wait(ctx); err != nil {
			return err
		}
	}
	if err := m.network.Restore(ctx, name); err != nil {
		return err
	}
	if err := m.deleteDisk(name); err != nil {
		return err
	}
	m.update(func() { delete(m.status, name) })
	m.log.Info("machine removed", "machine", name)
	return nil
}

// List has every machine by name.
func (m *Manager) List() ([]Status, error) {
	specs, err := m.Specs()
	if err != nil {
		return nil, err
	}
	all := make([]Status, 0, len(specs))
	for _, spec := range specs {
		all = append(all, m.statusOf(spec))
	}
	return all, nil
}

// Status is one machine.
func (m *Manager) Status(name string) (Status, error) {
	spec, err := m.Spec(name)
	if err != nil {
		return Status{}, err
	}
	return m.statusOf(spec), nil
}

// clearLeftovers removes machines whose making or removal was cut short, replaces those that lost what their disk is made of,
// and removes the leaders of an earlier life of the lab.
func (m *Manager) clearLeftovers(ctx context.Context) error {
	if err := os.MkdirAll(m.cfg.Dir, 0o711); err != nil {
		return fmt.Errorf("machine: %w", err)
	}
	entries, err := os.ReadDir(m.cfg.Dir)
	if err != nil {
		return fmt.Errorf("machine: %w", err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if validName(name) != nil {
			continue
		}
		spec, err := m.Spec(name)
		switch {
		case errors.Is(err, ErrNotFound):
			err = m.deleteDisk(name)
		case err == nil:
			err = m.replaceOrphan(ctx, spec)
		}
		if err := errors.Join(err, m.dropLeader(name)); err != nil {
			return err
		}
	}
	return nil
}
