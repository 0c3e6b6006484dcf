package network

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
)

// table is the name of both nftables tables, in the families inet and bridge.
const table = "hawser_lab"

// rules is all that decides the text of the tables.
type rules struct {
	bridge string
	// router is the node's address among the machines, with the length of their network's prefix.
	router    netip.Prefix
	balancers []netip.Addr
	// forwarded are the ports of balancers' addresses that this process serves itself.
	forwarded map[netip.Addr][]uint16
	links     map[string]LinkState
}

// render gives the whole of both tables as one nftables transaction, which replaces what was there before.
//
// Table inet: what a machine starts is rejected, unless it goes to another machine, or to a load balancer's address and
// is translated by the node (ct status dnat). The original destination is compared as well, because a Service's cluster
// address and a node port are translated too and must stay out of reach. Towards the node only ICMP and DNS are open, and
// ports that this process serves for an address that is going to be taken away. One that was taken away is silent for connections that
// exist as well: the node's translation of them would outlive it.
//
// Table bridge: cut links. It sees frames between machines as well, which never reach the inet hooks, and ARP, so that
// a cut link is as silent as a pulled cable.
func (r rules) render() string {
	var b strings.Builder
	b.WriteString(renderRemoval())
	fmt.Fprintf(&b, `
table inet %[1]s {
	set balancers {
		type ipv4_addr%[4]s
	}
	set forwarded {
		type ipv4_addr . inet_service%[8]s
	}
	chain from_machines {
		ct state established,related accept
		ct status dnat ct original ip daddr @balancers accept
	}
	chain forward {
		type filter hook forward priority filter; policy accept;
		ct status dnat ct original ip daddr %[7]s ct original ip daddr != @balancers drop
		iifname != "%[2]s" accept
		oifname "%[2]s" accept
		jump from_machines
		meta l4proto tcp reject with tcp reset
		reject with icmpx admin-prohibited
	}
	chain input {
		type filter hook input priority filter; policy accept;
		iifname != "%[2]s" accept
		jump from_machines
		meta l4proto { icmp, ipv6-icmp } accept
		ip daddr . tcp dport @forwarded accept
		ip daddr %[3]s meta l4proto { tcp, udp } th dport 53 accept
		meta l4proto tcp reject with tcp reset
		reject with icmpx admin-prohibited
	}
}
table bridge %[1]s {
	set cut_from {
		type ifname%[5]s
	}
	set cut_to {
		type ifname%[6]s
	}
	chain prerouting {
		type filter hook prerouting priority -300; policy accept;
		iifname @cut_from drop
	}
	chain postrouting {
		type filter hook postrouting priority 300; policy accept;
		oifname @cut_to drop
	}
}
`, table, r.bridge, r.router.Addr(), elements(r.balancerNames()),
		elements(r.cut(func(s LinkState) bool { return s.CutFrom })),
		elements(r.cut(func(s LinkState) bool { return s.CutTo })), r.router.Masked(), elements(r.forwardedPorts()))
	return b.String()
}

// renderRemoval removes both tables whether they exist or not: declaring them first keeps delete from failing.
func renderRemoval() string {
	return fmt.Sprintf("table inet %[1]s\ndelete table inet %[1]s\ntable bridge %[1]s\ndelete table bridge %[1]s\n", table)
}

func (r rules) balancerNames() []string {
	var names []string
	for _, addr := range slices.SortedFunc(slices.Values(r.balancers), netip.Addr.Compare) {
		names = append(names, addr.String())
	}
	return names
}

func (r rules) forwardedPorts() []string {
	var names []string
	for _, addr := range slices.SortedFunc(maps.Keys(r.forwarded), netip.Addr.Compare) {
		for _, port := range r.forwarded[addr] {
			names = append(names, fmt.Sprintf("%s . %d", addr, port))
		}
	}
	return names
}

func (r rules) cut(half func(LinkState) bool) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(r.links)) {
		if half(r.links[name]) {
			names = append(names, fmt.Sprintf("%q", interfaceName(name)))
		}
	}
	return names
}

// elements is the elements line of a set; nftables knows no empty one.
func elements(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return "\n\t\telements = { " + strings.Join(values, ", ") + " }"
}

func runNft(ctx context.Context, text string) error {
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(text)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("network: load the nftables tables (is nftables installed, and is this process root?): %w: %s",
			err, strings.TrimSpace(out.String()))
	}
	return nil
}
