// Package resolver tells systemd-resolved which names the proxy knows. In come domains and the proxy's address, out comes a
// link of Hawser's own that carries them. Other links' settings stay as they are.
package resolver

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/agent/host/command"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// Runner runs programs; command.Exec does.
type Runner interface {
	Run(ctx context.Context, c command.Command) ([]byte, error)
}

// Resolved is systemd-resolved as resolvectl(1) shows it.
type Resolved struct {
	runner Runner
	// links is /sys/class/net.
	exists func(link string) bool
	// patience is how long systemd-resolved may take to notice the new link.
	patience time.Duration
}

// New returns systemd-resolved, run through runner. exists tells whether the host has a link.
func New(runner Runner, exists func(link string) bool) *Resolved {
	return &Resolved{runner: runner, exists: exists, patience: 3 * time.Second}
}

const (
	// peerName is the other end, where the kernel has no dummy links.
	peerName = "hawser1"
	// address makes systemd-resolved take the link for usable: it wants one of global scope. A link-local one is left out by
	// pilot-agent, and by whoever else lists the host's addresses.
	address = "169.254.15.53/32"
)

// Observe returns what the link carries; the zero value if there is no link.
func (r *Resolved) Observe(ctx context.Context) (plan.Lookups, error) {
	var seen plan.Lookups
	if !r.exists(plan.LinkName) {
		return seen, nil
	}
	servers, err := r.settings(ctx, "dns")
	if err != nil {
		return seen, err
	}
	domains, err := r.settings(ctx, "domain")
	if err != nil {
		return seen, err
	}
	seen.Server = strings.Join(servers, " ")
	for _, domain := range domains {
		if zone, routed := strings.CutPrefix(domain, "~"); routed {
			seen.Zones = append(seen.Zones, zone)
		} else {
			seen.Search = append(seen.Search, domain)
		}
	}
	// A link without a server is one that was left half made.
	if seen.Server == "" {
		seen.Server = "none"
	}
	return seen, nil
}

// settings parses "Link 4 (hawser0): VALUE VALUE".
func (r *Resolved) settings(ctx context.Context, verb string) ([]string, error) {
	out, err := r.runner.Run(ctx, command.New("resolvectl", verb, plan.LinkName))
	if err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return nil, nil
		}
		return nil, fmt.Errorf("ask systemd-resolved for link %s: %w", plan.LinkName, err)
	}
	_, values, _ := strings.Cut(string(out), "):")
	return strings.Fields(values), nil
}

// Set makes the link and tells systemd-resolved what it carries.
func (r *Resolved) Set(ctx context.Context, lookups plan.Lookups) error {
	if err := r.makeLink(ctx); err != nil {
		return err
	}
	settings := [][]string{
		append([]string{"domain", plan.LinkName}, lookups.Domains()...),
		// Lookups of other names are none of the proxy's business, nor are the protocols without a server.
		{"default-route", plan.LinkName, "no"},
		{"llmnr", plan.LinkName, "no"},
		{"mdns", plan.LinkName, "no"},
		{"dnssec", plan.LinkName, "no"},
		// The server comes last: until then no lookup goes there.
		{"dns", plan.LinkName, lookups.Server},
	}
	for _, args := range settings {
		if err := r.tell(ctx, args); err != nil {
			return err
		}
	}
	return nil
}

// tell repeats a setting until systemd-resolved knows the link: it learns of new links by events of the kernel.
func (r *Resolved) tell(ctx context.Context, args []string) error {
	ctx, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		_, err := r.runner.Run(ctx, command.New("resolvectl", args...))
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("tell systemd-resolved of link %s: %w; resolvectl needs systemd 246 or newer for a server with a port", plan.LinkName, err)
		case <-ticker.C:
		}
	}
}

func (r *Resolved) makeLink(ctx context.Context) error {
	if !r.exists(plan.LinkName) {
		_, err := r.runner.Run(ctx, command.New("ip", "link", "add", plan.LinkName, "type", "dummy"))
		if err != nil {
			// A kernel without dummy links has pairs, nearly always. The end without an address is only there to be up.
			_, pairErr := r.runner.Run(ctx, command.New("ip", "link", "add", plan.LinkName, "type", "veth", "peer", "name", peerName))
			if pairErr != nil {
				return fmt.Errorf("make link %s: %w", plan.LinkName, errors.Join(err, pairErr))
			}
		}
	}
	if r.exists(peerName) {
		if err := r.bringUp(ctx, peerName); err != nil {
			return err
		}
	}
	if _, err := r.runner.Run(ctx, command.New("ip", "address", "replace", address, "dev", plan.LinkName, "scope", "global")); err != nil {
		return fmt.Errorf("give link %s an address: %w", plan.LinkName, err)
	}
	return r.bringUp(ctx, plan.LinkName)
}

func (r *Resolved) bringUp(ctx context.Context, link string) error {
	// Without IPv6 there is no such mode, and no address of the kernel's to keep away.
	_, _ = r.runner.Run(ctx, command.New("ip", "link", "set", link, "addrgenmode", "none"))
	if _, err := r.runner.Run(ctx, command.New("ip", "link", "set", link, "up")); err != nil {
		return fmt.Errorf("bring link %s up: %w", link, err)
	}
	return nil
}

// Remove takes the link away; systemd-resolved forgets what it carried. No link is fine.
func (r *Resolved) Remove(ctx context.Context) error {
	if !r.exists(plan.LinkName) {
		return nil
	}
	if _, err := r.runner.Run(ctx, command.New("ip", "link", "delete", plan.LinkName)); err != nil && r.exists(plan.LinkName) {
		return fmt.Errorf("remove link %s: %w", plan.LinkName, err)
	}
	return nil
}
