package plan

import (
	"io/fs"
	"net/netip"
)

// Owner of a file.
type Owner string

const (
	Root  Owner = "root"
	Proxy Owner = AccountName
)

// Observed is what a host is at one moment, as far as a plan needs it.
type Observed struct {
	// Address that the machine is reached by: the source address of its route to the manager.
	Address string
	// Account is true if user and group istio-proxy exist with number 1337.
	Account bool
	// Files by path: those that Paths names and that exist.
	Files map[string]File
	// Real are the paths that HostsFile and ResolvConfFile lead to, and what else names the host's resolvers, where they are others.
	Real []string
	// Versions are the version directories by digest in hex: true if all files of the desired state are there, whole.
	Versions map[string]bool
	// Identities are the SPIFFE IDs of the slots' certificates, for those that have one.
	Identities map[Slot]string
	// Units by slot.
	Units map[Slot]Unit
	// UnitMissing: the package's unit of the slots is gone.
	UnitMissing bool
	// UnitsStale: a unit's file or drop-in changed since systemd read it.
	UnitsStale bool
	// Connections are the far ends of the proxies' connections to DiscoveryPort.
	Connections []netip.Addr
	// Backend that the host has for traffic rules, nftables before iptables; empty if none.
	Backend Backend
	// Interception as it is in the kernel.
	Interception Interception
	// MigrateRequests is empty where the kernel has no such setting.
	MigrateRequests Migration
	// Leading is where lookups are led beside Istio's own rules, as Leading prints it; empty if nothing leads them.
	Leading string
	// Resolver is the kind of the host's resolver.
	Resolver ResolverKind
	// Upstream is the resolv.conf that names the host's real resolvers.
	Upstream []byte
	// Lookups as systemd-resolved has them on Hawser's link.
	Lookups Lookups
}

// File is a file, directory or symbolic link on a host.
type File struct {
	// Mode with its type bits.
	Mode fs.FileMode
	// Owner is empty if it is neither root:root nor istio-proxy:istio-proxy.
	Owner Owner
	// Content of a regular file.
	Content []byte
	// Target of a symbolic link.
	Target string
}

// Unit is the state of a slot's unit.
type Unit struct {
	// Active: the proxy's process runs.
	Active bool
	// Ready: it says that it can take traffic.
	Ready bool
	// Draining: it was told to take no new connections. Drained: callers have ended theirs, or have had their time.
	Draining, Drained bool
	// Configuration is the stamp (VariableConfiguration) in the environment of the running process.
	Configuration string
}

// Backend is the kernel interface by which traffic is redirected.
type Backend string

const (
	NFTables Backend = "nftables"
	IPTables Backend = "iptables"
)

// Interception is the state of the traffic rules.
type Interception struct {
	// Backends that hold rules of Istio's.
	Backends []Backend
	// Applied are the rules as they were applied last, empty if unknown.
	Applied string
	// Whole: what is in the kernel is what was there right after they were applied.
	Whole bool
	// Armed: the dead man's switch is still going to take the rules away.
	Armed bool
}

// ResolverKind tells who answers the host's lookups.
type ResolverKind string

const (
	// Plain: programs ask the servers in /etc/resolv.conf.
	Plain ResolverKind = "plain"
	// Resolved: they ask systemd-resolved.
	Resolved ResolverKind = "systemd-resolved"
)
