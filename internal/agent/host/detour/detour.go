// Package detour has the proxy's new connections to some addresses go to another one. In come addresses, out goes a table of nftables of its own, whose
// entries end by themselves after a minute if nobody makes them anew: a host whose agent died is not led astray. It knows of no gateways, touches no
// connection that stands and no rule of anybody else's.
package detour

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/agent/host/command"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// Lasts is how long a detour lasts that is not set anew.
const Lasts = time.Minute

// table is the package's alone, in the family inet.
const table = "hawser-detour"

// priority is before that of Istio's rules for what leaves the host, which is dstnat, -100 (istio.io/istio, tools/istio-nftables).
const priority = -110

// Runner runs programs of the host; command.Exec does.
type Runner interface {
	Run(ctx context.Context, c command.Command) ([]byte, error)
}

// Detour is the one of this host.
type Detour struct{ runner Runner }

// New returns a Detour. It does no I/O.
func New(runner Runner) *Detour { return &Detour{runner} }

// Set leads what the proxy sends to the addresses to another one of their kind, and nothing else any more.
func (d *Detour) Set(ctx context.Context, from []netip.Addr, to netip.Addr) error {
	from = slices.DeleteFunc(slices.Clone(from), func(address netip.Addr) bool { return address.Is4() != to.Is4() || address == to })
	if len(from) == 0 {
		return d.Clear(ctx)
	}
	// What there was is removed, whether it was there or not, in one transaction with what follows.
	return d.run(ctx, fmt.Sprintf("table inet %[1]s\ndelete table inet %[1]s\n", table)+script(from, to))
}

// Clear takes all detours away. A host whose kernel or programs have no nftables has none.
func (d *Detour) Clear(ctx context.Context) error {
	tables, err := d.runner.Run(ctx, command.New("nft", "list", "tables", "inet"))
	if err != nil || !slices.Contains(strings.Split(string(tables), "\n"), "table inet "+table) {
		return ctx.Err()
	}
	return d.run(ctx, "delete table inet "+table+"\n")
}

func (d *Detour) run(ctx context.Context, script string) error {
	if _, err := d.runner.Run(ctx, command.Command{Name: "nft", Args: []string{"-f", "-"}, Input: []byte(script)}); err != nil {
		return fmt.Errorf("lead connections to another gateway: %w", err)
	}
	return nil
}

func script(from []netip.Addr, to netip.Addr) string {
	family, kind := "ip", "ipv4_addr"
	if to.Is6() {
		family, kind = "ip6", "ipv6_addr"
	}
	var elements []string
	for _, address := range from {
		elements = append(elements, fmt.Sprintf("%s timeout %ds : %s", address, int(Lasts.Seconds()), to))
	}
	return fmt.Sprintf(`table inet %s {
	map gateways {
		type %s : %s
		flags timeout
		elements = { %s }
	}
	chain output {
		type nat hook output priority %d; policy accept;
		meta skuid %d meta l4proto tcp dnat %s to %s daddr map @gateways
	}
}
`, table, kind, kind, strings.Join(elements, ", "), priority, plan.AccountID, family, family)
}
