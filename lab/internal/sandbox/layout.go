package sandbox

import (
	"net/netip"
	"path/filepath"
)

// Layout names what a lab occupies on its host.
type Layout struct {
	// RunDir holds the socket and the init's identity; it does not survive `down`.
	RunDir string
	// StateDir holds what survives a restart: etcd, images, machines, logs.
	StateDir string
	// Cgroup is the name of the directory made in each cgroup hierarchy.
	Cgroup string
	// HostLink is the host's end of the one veth, HostAddress its address, NodeAddress that of the end inside.
	HostLink    string
	HostAddress netip.Prefix
	NodeAddress netip.Prefix
}

// DefaultLayout is the layout of the one lab that a host can have.
func DefaultLayout() Layout {
	return Layout{
		RunDir:      "/run/hawser-lab",
		StateDir:    "/var/lib/hawser-lab",
		Cgroup:      "hawser-lab",
		HostLink:    "hawser-lab0",
		HostAddress: netip.MustParsePrefix("10.231.77.1/30"),
		NodeAddress: netip.MustParsePrefix("10.231.77.2/30"),
	}
}

// Socket is the path of the API, for root only.
func (l Layout) Socket() string { return filepath.Join(l.RunDir, "lab.sock") }

// LogDir has one file for each component.
func (l Layout) LogDir() string { return filepath.Join(l.StateDir, "logs") }

// Log is the log file of a component.
func (l Layout) Log(component string) string { return filepath.Join(l.LogDir(), component+".log") }

// identityFile remembers the first process of the sandbox.
func (l Layout) identityFile() string { return filepath.Join(l.RunDir, "init.json") }

// nodeLink is the name of the veth's end inside.
const nodeLink = "eth0"
