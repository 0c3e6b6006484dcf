package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/host/interception"
	"github.com/hawser-io/hawser/internal/agent/host/ledger"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// Observe looks at all that a plan for want depends on. It changes nothing.
func (h *Host) Observe(ctx context.Context, want *hawserv1.DesiredState) (plan.Observed, error) {
	seen := plan.Observed{Files: map[string]plan.File{}, Versions: map[string]bool{}, Identities: map[plan.Slot]string{}, Units: map[plan.Slot]plan.Unit{}}
	looks := []func(context.Context, *hawserv1.DesiredState, *plan.Observed) error{
		h.observeAddress, h.observeAccount, h.observeFiles, h.observeResolver, h.observeVersions, h.observeIdentities, h.observeUnits, h.observeTraffic, h.observeConnections,
	}
	for _, look := range looks {
		if err := look(ctx, want, &seen); err != nil {
			return seen, fmt.Errorf("observe the host: %w", err)
		}
	}
	return seen, nil
}

func (h *Host) observeAddress(ctx context.Context, _ *hawserv1.DesiredState, seen *plan.Observed) (err error) {
	seen.Address, err = h.address(ctx)
	return err
}

func (h *Host) ownAddress(ctx context.Context) (string, error) {
	addresses, err := h.addresses.List(ctx)
	if err != nil {
		return "", err
	}
	if len(addresses) == 0 {
		return "", errors.New("no link has an address that others could reach this machine by; ip address shows them")
	}
	return addresses[0], nil
}

func (h *Host) observeAccount(_ context.Context, _ *hawserv1.DesiredState, seen *plan.Observed) (err error) {
	seen.Account, err = h.users.Exists()
	return err
}

func (h *Host) observeFiles(_ context.Context, _ *hawserv1.DesiredState, seen *plan.Observed) error {
	for _, path := range plan.Paths() {
		at := path
		if path == plan.HostsFile || path == plan.ResolvConfFile {
			var err error
			if at, err = h.tree.Resolve(path); err != nil {
				return err
			}
			if at != path {
				seen.Real = append(seen.Real, at)
			}
		}
		found, err := h.tree.Read(at)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			continue
		}
		if err != nil {
			return err
		}
		seen.Files[path] = found
	}
	return nil
}

// resolvedDirectory holds the files that systemd-resolved writes (systemd-resolved.service(8), /etc/resolv.conf).
const resolvedDirectory = "/run/systemd/resolve/"

// observeResolver takes a resolv.conf that systemd-resolved writes, or that leads to its stub, for a host that asks it.
func (h *Host) observeResolver(ctx context.Context, _ *hawserv1.DesiredState, seen *plan.Observed) error {
	content := seen.Files[plan.ResolvConfFile].Content
	seen.Resolver, seen.Upstream = plan.Plain, plan.WithoutBlock(content)
	real, err := h.tree.Resolve(plan.ResolvConfFile)
	if err != nil {
		return err
	}
	if strings.HasPrefix(real, resolvedDirectory) || strings.Contains(string(content), "nameserver 127.0.0.53\n") {
		seen.Resolver = plan.Resolved
		list := resolvedDirectory + "resolv.conf"
		seen.Real = append(seen.Real, list)
		upstream, err := h.tree.Read(list)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		seen.Upstream = upstream.Content
	}
	seen.Lookups, err = h.lookups.Observe(ctx)
	return err
}

func (h *Host) observeVersions(_ context.Context, want *hawserv1.DesiredState, seen *plan.Observed) error {
	names, err := h.versionList.List()
	if err != nil {
		return err
	}
	for _, name := range names {
		seen.Versions[name] = false
	}
	digest := plan.Digest(want)
	if slices.Contains(names, digest) {
		seen.Versions[digest], err = h.versions.Whole(digest, want.GetProxy().GetFiles())
	}
	return err
}

func (h *Host) observeUnits(ctx context.Context, _ *hawserv1.DesiredState, seen *plan.Observed) error {
	slots := []plan.Slot{plan.SlotA, plan.SlotB}
	states, err := h.unitStates.States(ctx, plan.SlotA.Unit(), plan.SlotB.Unit(), interception.SwitchUnit)
	if err != nil {
		return err
	}
	for _, slot := range slots {
		state := states[slot.Unit()]
		found := plan.Unit{Active: state.Active, Configuration: state.Environment[plan.VariableConfiguration]}
		if state.Active {
			found.Ready = h.health.Check(ctx, slot.Ports().Status) == nil
			if found.Draining, found.Drained, err = h.drains(ctx, slot, state); err != nil {
				return err
			}
		}
		seen.Units[slot] = found
		seen.UnitsStale = seen.UnitsStale || state.Stale
	}
	seen.Interception.Armed = states[interception.SwitchUnit].Active
	seen.UnitMissing = !slices.ContainsFunc(plan.UnitTemplates(), func(path string) bool {
		file, err := h.tree.Read(path)
		return err == nil && !plan.IsMask(file)
	})
	return nil
}

func (h *Host) observeTraffic(ctx context.Context, want *hawserv1.DesiredState, seen *plan.Observed) error {
	byIPTables, err := h.ledger.Has(ledger.Rules, string(plan.IPTables))
	if err != nil {
		return err
	}
	seen.Backend, _ = h.trafficState.Backend(ctx)
	armed := seen.Interception.Armed
	seen.Interception, err = h.trafficState.Observe(ctx, byIPTables || seen.Backend == plan.IPTables)
	seen.Interception.Armed = armed && len(seen.Interception.Backends) > 0
	if err != nil {
		return err
	}
	if seen.MigrateRequests, err = h.observeMigration(); err != nil {
		return err
	}
	seen.Leading, err = h.leading.Led(ctx)
	return err
}
