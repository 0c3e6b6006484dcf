package cluster

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"k8s.io/client-go/util/retry"
)

// routeServices gives the node's own programs, such as an API server that calls a webhook, a route to Services. The node has
// no default route, and without any route a packet ends before kube-proxy's rules can send it elsewhere.
//
// Machines' links come and go meanwhile, which spoils the kernel's lists: they are asked for again then.
func routeServices(node netip.Addr) error {
	spoilt := func(err error) bool { return errors.Is(err, netlink.ErrDumpInterrupted) }
	return retry.OnError(retry.DefaultBackoff, spoilt, func() error { return routeServicesOnce(node) })
}

func routeServicesOnce(node netip.Addr) error {
	_, services, err := net.ParseCIDR(ServiceRange)
	if err != nil {
		return err
	}
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list the node's links: %w", err)
	}
	for _, link := range links {
		addrs, err := netlink.AddrList(link, netlink.FAMILY_V4)
		if err != nil {
			return fmt.Errorf("list the addresses of %s: %w", link.Attrs().Name, err)
		}
		for _, addr := range addrs {
			if own, ok := netip.AddrFromSlice(addr.IP.To4()); !ok || own != node {
				continue
			}
			route := &netlink.Route{Dst: services, Src: addr.IP, LinkIndex: link.Attrs().Index, Scope: netlink.SCOPE_LINK}
			if err := netlink.RouteReplace(route); err != nil {
				return fmt.Errorf("route Services: %w", err)
			}
			return nil
		}
	}
	return fmt.Errorf("no link of the node has its address %s", node)
}
