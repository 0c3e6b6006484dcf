package gateway

import (
	"net/netip"
	"slices"
	"time"

	"github.com/hawser-io/hawser/internal/agent/host/socket"
)

// What makes a gateway suspect. A packet or two are lost on a way that is well, too; the first packet of a connection is sent again after a second.
const (
	suspectRetransmits = 2
	suspectConnecting  = 1
)

// remembered is how long the proxy may be told of a gateway that is none any more: istiod looks names up each 30 s (istio.io/istio,
// pilot/pkg/model/network.go, MinGatewayTTL), and remembers what it was answered.
const remembered = 90 * time.Second

// Doubtful are those of the gateways that leave the proxy's packets unanswered on one of the connections, and those that are silent as far as is known;
// sorted. Others may be silent, too: the proxy has nothing to do with them.
func Doubtful(connections []socket.Connection, gateways, silent []netip.Addr) []netip.Addr {
	var found []netip.Addr
	for _, connection := range connections {
		if unanswered(connection) {
			found = append(found, connection.Remote.Addr())
		}
	}
	found = slices.Concat(found, silent)
	return unique(slices.DeleteFunc(found, func(address netip.Addr) bool { return !slices.Contains(gateways, address) }))
}

func unique(addresses []netip.Addr) []netip.Addr {
	slices.SortFunc(addresses, netip.Addr.Compare)
	return slices.Compact(addresses)
}

func unanswered(connection socket.Connection) bool {
	if connection.Connecting {
		return connection.Unanswered >= suspectConnecting
	}
	return connection.Unanswered >= suspectRetransmits
}

// Silent are those of the doubtful that do not answer, and the first gateway that does. There are none if no gateway answers: the fault is the host's own
// then, and connections may well outlive it.
func Silent(gateways, doubtful []netip.Addr, answers map[netip.Addr]bool) (silent []netip.Addr, other netip.Addr) {
	for _, address := range doubtful {
		if !answers[address] {
			silent = append(silent, address)
		}
	}
	at := slices.IndexFunc(gateways, func(address netip.Addr) bool { return answers[address] })
	if at < 0 {
		return nil, netip.Addr{}
	}
	return silent, gateways[at]
}

// past are gateways that were.
type past struct {
	last []netip.Addr
	// until is when each is forgotten.
	until map[netip.Addr]time.Time
}

// follow takes the gateways as they are now, and reports whether they are others than before.
func (p *past) follow(gateways []netip.Addr, now time.Time) bool {
	changed := !slices.Equal(p.last, gateways)
	for _, address := range p.last {
		if !slices.Contains(gateways, address) {
			p.until[address] = now.Add(remembered)
		}
	}
	for address, until := range p.until {
		if slices.Contains(gateways, address) || !now.Before(until) {
			delete(p.until, address)
		}
	}
	p.last = gateways
	return changed
}

// former are those that are remembered, sorted.
func (p *past) former() []netip.Addr {
	var list []netip.Addr
	for address := range p.until {
		list = append(list, address)
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return list
}
