package sandbox

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
)

// connectHost makes the veth between the host and the network namespace of a process, and the host's address on it.
func connectHost(layout Layout, pid int) error {
	attributes := netlink.NewLinkAttrs()
	attributes.Name = layout.HostLink
	link := &netlink.Veth{LinkAttrs: attributes, PeerName: nodeLink, PeerNamespace: netlink.NsPid(pid)}
	if err := netlink.LinkAdd(link); err != nil {
		return fmt.Errorf("make link %s: %w", layout.HostLink, err)
	}
	address, err := netlink.ParseAddr(layout.HostAddress.String())
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(link, address); err != nil {
		return fmt.Errorf("give %s to link %s (is the range in use?): %w", layout.HostAddress, layout.HostLink, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring link %s up: %w", layout.HostLink, err)
	}
	return nil
}

// ConnectNode sets the inner end of the veth, and the loopback, up.
func ConnectNode(layout Layout) error {
	for _, name := range []string{"lo", nodeLink} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find link %s of the node: %w", name, err)
		}
		if name == nodeLink {
			address, err := netlink.ParseAddr(layout.NodeAddress.String())
			if err != nil {
				return err
			}
			if err := netlink.AddrReplace(link, address); err != nil {
				return fmt.Errorf("give %s to the node: %w", layout.NodeAddress, err)
			}
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("bring link %s of the node up: %w", name, err)
		}
	}
	return nil
}

// removeHostLink removes the host's end, if it is there; the kernel removes it with the sandbox, but some time later.
func removeHostLink(layout Layout) error {
	link, err := netlink.LinkByName(layout.HostLink)
	if _, absent := errors.AsType[netlink.LinkNotFoundError](err); absent {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find link %s: %w", layout.HostLink, err)
	}
	if err := netlink.LinkDel(link); err != nil {
		if _, err := netlink.LinkByName(layout.HostLink); err != nil {
			return nil // the kernel was faster
		}
		return fmt.Errorf("remove link %s: %w", layout.HostLink, err)
	}
	return nil
}
