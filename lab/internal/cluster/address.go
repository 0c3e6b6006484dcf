package cluster

import (
	"fmt"
	"net/netip"
)

// addressPool is a range of load balancer addresses, both ends included.
type addressPool struct{ first, last netip.Addr }

// contains says whether an address is of the pool.
func (p addressPool) contains(addr netip.Addr) bool {
	return addr.IsValid() && !addr.Less(p.first) && !p.last.Less(addr)
}

// next returns the first free address after the one given, round the end of the pool; before the first use, give the zero
// address. Going round keeps an address that was just given up unused for as long as possible.
func (p addressPool) next(after netip.Addr, used map[netip.Addr]bool) (netip.Addr, error) {
	start := p.first
	if p.contains(after) && after != p.last {
		start = after.Next()
	}
	for addr := start; ; {
		if !used[addr] {
			return addr, nil
		}
		if addr = addr.Next(); !p.contains(addr) {
			addr = p.first
		}
		if addr == start {
			return netip.Addr{}, fmt.Errorf("all load balancer addresses from %s to %s are in use", p.first, p.last)
		}
	}
}
