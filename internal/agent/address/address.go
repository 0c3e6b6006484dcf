// Package address knows the host's own addresses: the list of them, in order of preference, and when it changes. It must
// not set any.
package address

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hawser-io/hawser/internal/agent/netlink"
)

// ownLinks are links that the agent makes on the host: nobody reaches the machine by them.
const ownLinks = "hawser"

// routeTimeout bounds resolving the peer's name, which on a host without a network takes as long as its resolver pleases.
const routeTimeout = 2 * time.Second

// Lister lists the host's addresses.
type Lister struct {
	peer string
	// route finds the address that the host reaches a peer from.
	route func(ctx context.Context, peer string) string
	mutex sync.Mutex
	// last is what route found. While the peer's name does not resolve, the machine does not change its address for that.
	last string
}

// NewLister prefers the address by which the host reaches peer, HOST:PORT or empty. Nothing is sent to it.
func NewLister(peer string) *Lister { return &Lister{peer: peer, route: source} }

// List returns the host's addresses: the one that it reaches the peer from first, then those of its links in the kernel's
// order. Loopback and link-local addresses are left out.
func (l *Lister) List(ctx context.Context) ([]string, error) {
	list, err := all()
	if err != nil {
		return nil, err
	}
	return preferred(list, l.source(ctx)), nil
}

func (l *Lister) source(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	found := l.route(ctx, l.peer)
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if found != "" {
		l.last = found
	}
	return l.last
}

func all() ([]string, error) {
	links, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list the host's links: %w", err)
	}
	var found []string
	for _, link := range links {
		if link.Flags&net.FlagUp == 0 || link.Flags&net.FlagLoopback != 0 || strings.HasPrefix(link.Name, ownLinks) {
			continue
		}
		addresses, err := link.Addrs()
		if err != nil {
			// The link went away since it was listed; the next event tells of it.
			continue
		}
		for _, address := range addresses {
			prefix, err := netip.ParsePrefix(address.String())
			if err == nil && prefix.Addr().IsGlobalUnicast() {
				found = append(found, prefix.Addr().String())
			}
		}
	}
	return found, nil
}

// preferred puts first at the front of list if it is in there.
func preferred(list []string, first string) []string {
	at := slices.Index(list, first)
	if at <= 0 {
		return list
	}
	return append([]string{first}, slices.Delete(slices.Clone(list), at, at+1)...)
}

// source returns the address that the kernel would send to peer from, empty if there is no route. Connecting a UDP socket
// chooses a route and sends nothing.
func source(ctx context.Context, peer string) string {
	if peer == "" {
		return ""
	}
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "udp", peer)
	if err != nil {
		return ""
	}
	defer connection.Close()
	local, err := netip.ParseAddrPort(connection.LocalAddr().String())
	if err != nil {
		return ""
	}
	return local.Addr().Unmap().String()
}

// Watch calls changed whenever an address, a link or a route of the host may have changed, until ctx ends (rtnetlink(7)).
func Watch(ctx context.Context, changed func()) error {
	socket, err := netlink.Open(unix.NETLINK_ROUTE, groups())
	if err != nil {
		return fmt.Errorf("watch the host's addresses: %w", err)
	}
	// What an event says is not looked at, since List reads the whole state anyway.
	if err := socket.Listen(ctx, func([]byte) { changed() }); err != nil {
		return fmt.Errorf("watch the host's addresses: %w", err)
	}
	return nil
}

func groups() uint32 {
	return 1<<(unix.RTNLGRP_LINK-1) | 1<<(unix.RTNLGRP_IPV4_IFADDR-1) | 1<<(unix.RTNLGRP_IPV6_IFADDR-1) |
		1<<(unix.RTNLGRP_IPV4_ROUTE-1) | 1<<(unix.RTNLGRP_IPV6_ROUTE-1)
}
