package network

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// Network is the machines' network in the network namespace of this process. Its methods may be called at the same time
// from several goroutines, and each may be repeated: doing a thing that is done already changes nothing.
type Network struct {
	cfg Config
	log *slog.Logger

	mu sync.Mutex
	// state is what the nftables tables are rendered from.
	state rules
	// forwarders by the address that they serve.
	forwarders map[netip.Addr]*forwarder
}

// New makes a Network; it touches nothing until Setup.
func New(cfg Config) (*Network, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	log := cfg.Log
	if log == nil {
		log = slog.Default()
	}
	return &Network{
		cfg:        cfg,
		log:        log,
		state:      rules{bridge: cfg.Bridge, router: cfg.Router, links: map[string]LinkState{}},
		forwarders: map[netip.Addr]*forwarder{},
	}, nil
}

// Router is the machines' gateway and nameserver.
func (n *Network) Router() netip.Prefix { return n.cfg.Router }

// Setup makes the bridge, its address and the nftables tables, and switches forwarding on. Leftovers of a crash in
// NetnsDir are cleared.
func (n *Network) Setup(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.clearStaleNamespaces(); err != nil {
		return err
	}
	if err := ensureBridge(n.cfg.Bridge, n.cfg.Router); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return fmt.Errorf("network: switch IPv4 forwarding on: %w", err)
	}
	return n.applyRules(ctx)
}

// Teardown removes every machine's link and namespace, the bridge and the tables.
func (n *Network) Teardown(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	names, err := n.attached()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		errs = append(errs, n.detach(name))
	}
	for addr := range n.forwarders {
		errs = append(errs, n.endForwarding(addr))
	}
	errs = append(errs, deleteLink(n.cfg.Bridge), runNft(ctx, renderRemoval()))
	n.state.links = map[string]LinkState{}
	n.state.balancers = nil
	return errors.Join(errs...)
}

// Attach gives a machine a fresh network namespace holding one interface, eth0, with the address, a default route to the
// router and nothing else: what earlier boots left in the old namespace (rules, sysctls, connections) is gone, as after
// the reboot of a real machine. It returns the namespace's path. A cut link stays cut.
func (n *Network) Attach(_ context.Context, name string, addr netip.Addr) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.cfg.Router.Contains(addr) {
		return "", fmt.Errorf("network: address %s of machine %s is not in %s", addr, name, n.cfg.Router.Masked())
	}
	if err := n.detach(name); err != nil {
		return "", err
	}
	path := n.namespacePath(name)
	if err := createNamespace(path); err != nil {
		return "", err
	}
	link := machineLink{
		host:    interfaceName(name),
		bridge:  n.cfg.Bridge,
		address: netip.PrefixFrom(addr, n.cfg.Router.Bits()),
		router:  n.cfg.Router.Addr(),
	}
	if err := link.connect(path); err != nil {
		return "", errors.Join(err, n.detach(name))
	}
	return path, nil
}

// Detach removes a machine's link and namespace. Processes that still hold the namespace keep it without an interface.
func (n *Network) Detach(_ context.Context, name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.detach(name)
}

// AddAddress adds one more address of the machines' network to the bridge: a load balancer's. Machines may open
// connections to it, as far as the node translates them to somewhere else.
func (n *Network) AddAddress(ctx context.Context, addr netip.Addr) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.cfg.Router.Contains(addr) || addr == n.cfg.Router.Addr() {
		return fmt.Errorf("network: load balancer address %s is not a free address of %s", addr, n.cfg.Router.Masked())
	}
	if err := addAddress(n.cfg.Bridge, addr); err != nil {
		return err
	}
	if !slices.Contains(n.state.balancers, addr) {
		n.state.balancers = append(n.state.balancers, addr)
	}
	return n.applyRules(ctx)
}

// RemoveAddress takes a load balancer's address away again.
func (n *Network) RemoveAddress(ctx context.Context, addr netip.Addr) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if addr == n.cfg.Router.Addr() {
		return fmt.Errorf("network: %s is the router's own address and stays", addr)
	}
	if err := removeAddress(n.cfg.Bridge, addr); err != nil {
		return err
	}
	n.state.balancers = slices.DeleteFunc(n.state.balancers, func(a netip.Addr) bool { return a == addr })
	return errors.Join(n.applyRules(ctx), n.endForwarding(addr))
}

// Forward leads new connections to ports of one load balancer's address on to another one, until the first is removed: it is alive although the
// node does not translate it any more.
func (n *Network) Forward(ctx context.Context, from, to netip.Addr, ports []uint16) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.forwarders[from] != nil {
		return nil
	}
	forwarder, err := newForwarder(from, to, ports, n.log)
	if err != nil {
		return err
	}
	n.forwarders[from] = forwarder
	if n.state.forwarded == nil {
		n.state.forwarded = map[netip.Addr][]uint16{}
	}
	n.state.forwarded[from] = ports
	return n.applyRules(ctx)
}

func (n *Network) endForwarding(addr netip.Addr) error {
	forwarder := n.forwarders[addr]
	if forwarder == nil {
		return nil
	}
	delete(n.forwarders, addr)
	delete(n.state.forwarded, addr)
	return forwarder.close()
}

// Cut drops all packets of a machine's link in the direction given, established connections included. Cutting the other
// half as well leaves both cut.
func (n *Network) Cut(ctx context.Context, name string, direction Direction) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	state := n.state.links[name]
	switch direction {
	case Both:
		state = LinkState{CutFrom: true, CutTo: true}
	case From:
		state.CutFrom = true
	case To:
		state.CutTo = true
	default:
		return fmt.Errorf("network: unknown direction %q: use both, from or to", direction)
	}
	n.state.links[name] = state
	return n.applyRules(ctx)
}

// Restore mends both halves of a machine's link.
func (n *Network) Restore(ctx context.Context, name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.state.links, name)
	return n.applyRules(ctx)
}

// Link says which halves of a machine's link are cut.
func (n *Network) Link(name string) LinkState {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.state.links[name]
}

func (n *Network) applyRules(ctx context.Context) error {
	return runNft(ctx, n.state.render())
}

func (n *Network) namespacePath(name string) string { return filepath.Join(n.cfg.NetnsDir, name) }

func (n *Network) detach(name string) error {
	return errors.Join(deleteLink(interfaceName(name)), deleteNamespace(n.namespacePath(name)))
}
