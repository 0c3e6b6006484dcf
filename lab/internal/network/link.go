package network

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// maxInterfaceName is IFNAMSIZ without the final zero.
	maxInterfaceName = unix.IFNAMSIZ - 1
	// machineInterface is the name that a machine sees.
	machineInterface = "eth0"
)

// interfaceName is the node's end of a machine's link: "vm-" and the name, shortened by a hash where it is too long.
func interfaceName(machine string) string {
	name := "vm-" + machine
	if len(name) <= maxInterfaceName {
		return name
	}
	sum := sha256.Sum256([]byte(machine))
	return fmt.Sprintf("%s-%x", name[:maxInterfaceName-7], sum[:3])
}

// hardwareAddress is a locally administered address made from the IP address: a machine that comes back with a new
// interface is still known to its neighbours' ARP caches.
func hardwareAddress(addr netip.Addr) net.HardwareAddr {
	raw := addr.AsSlice()
	return append(net.HardwareAddr{0x02, 0x68}, raw[len(raw)-4:]...)
}

func ensureBridge(name string, router netip.Prefix) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	// A bridge without an address of its own takes the lowest of its ports and changes it as machines come and go.
	attrs.HardwareAddr = hardwareAddress(router.Addr())
	err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs})
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("network: add bridge %s: %w", name, err)
	}
	bridge, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("network: find bridge %s: %w", name, err)
	}
	if err := netlink.AddrReplace(bridge, &netlink.Addr{IPNet: ipNet(router)}); err != nil {
		return fmt.Errorf("network: give bridge %s address %s: %w", name, router, err)
	}
	if err := netlink.LinkSetUp(bridge); err != nil {
		return fmt.Errorf("network: set bridge %s up: %w", name, err)
	}
	return nil
}

// deleteLink removes an interface, if it is there.
func deleteLink(name string) error {
	link, err := netlink.LinkByName(name)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("network: remove interface %s: %w", name, err)
	}
	return nil
}

func addAddress(bridge string, addr netip.Addr) error {
	link, err := netlink.LinkByName(bridge)
	if err != nil {
		return fmt.Errorf("network: find bridge %s (is the network set up?): %w", bridge, err)
	}
	host := netip.PrefixFrom(addr, addr.BitLen())
	if err := netlink.AddrReplace(link, &netlink.Addr{IPNet: ipNet(host)}); err != nil {
		return fmt.Errorf("network: add address %s to bridge %s: %w", addr, bridge, err)
	}
	return nil
}

func removeAddress(bridge string, addr netip.Addr) error {
	link, err := netlink.LinkByName(bridge)
	if err != nil {
		return fmt.Errorf("network: find bridge %s: %w", bridge, err)
	}
	host := netip.PrefixFrom(addr, addr.BitLen())
	err = netlink.AddrDel(link, &netlink.Addr{IPNet: ipNet(host)})
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("network: remove address %s from bridge %s: %w", addr, bridge, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// machineLink is a pair of interfaces: one on the bridge, the other in a machine's namespace.
type machineLink struct {
	host    string
	bridge  string
	address netip.Prefix
	router  netip.Addr
}

// connect makes the pair, and configures the machine's end from outside, so that a machine needs no network manager.
func (l machineLink) connect(namespace string) error {
	bridge, err := netlink.LinkByName(l.bridge)
	if err != nil {
		return fmt.Errorf("network: find bridge %s (is the network set up?): %w", l.bridge, err)
	}
	ns, err := openNamespace(namespace)
	if err != nil {
		return err
	}
	defer ns.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = l.host
	attrs.MasterIndex = bridge.Attrs().Index
	pair := &netlink.Veth{
		LinkAttrs:        attrs,
		PeerName:         machineInterface,
		PeerNamespace:    netlink.NsFd(int(ns.Fd())),
		PeerHardwareAddr: hardwareAddress(l.address.Addr()),
	}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("network: add interface %s: %w", l.host, err)
	}
	if err := netlink.LinkSetUp(pair); err != nil {
		return fmt.Errorf("network: set interface %s up: %w", l.host, err)
	}
	if err := l.configureMachineEnd(int(ns.Fd())); err != nil {
		return fmt.Errorf("network: configure the machine's end of %s: %w", l.host, err)
	}
	return nil
}

func (l machineLink) configureMachineEnd(namespace int) error {
	inside, err := handleAt(namespace)
	if err != nil {
		return err
	}
	defer inside.Close()
	for _, name := range []string{"lo", machineInterface} {
		link, err := inside.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find %s: %w", name, err)
		}
		if name == machineInterface {
			if err := inside.AddrReplace(link, &netlink.Addr{IPNet: ipNet(l.address)}); err != nil {
				return fmt.Errorf("give %s address %s: %w", name, l.address, err)
			}
		}
		if err := inside.LinkSetUp(link); err != nil {
			return fmt.Errorf("set %s up: %w", name, err)
		}
	}
	if err := inside.RouteReplace(&netlink.Route{Gw: l.router.AsSlice()}); err != nil {
		return fmt.Errorf("set the default route to %s: %w", l.router, err)
	}
	return nil
}
