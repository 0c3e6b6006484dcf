package plan

import "path"

// Where things are on a host. The slot's paths below its directory are those that pilot-agent has by default for its working
// directory (istio.io/istio, pkg/config/constants and pilot/cmd/pilot-agent).
const (
	StateDirectory    = "/var/lib/hawser"
	ProxyDirectory    = StateDirectory + "/proxy"
	VersionsDirectory = ProxyDirectory + "/versions"
	SlotsDirectory    = ProxyDirectory + "/slots"
	// RunProxyDirectory is beside /run/hawser, which systemd makes for the agent and takes away when it stops: proxies go on.
	RunProxyDirectory = "/run/hawser-proxy"

	// UpstreamResolvConf is what the proxy's unit mounts over /etc/resolv.conf: the host's real resolvers.
	UpstreamResolvConf = RunProxyDirectory + "/resolv.conf"

	HostsFile      = "/etc/hosts"
	ResolvConfFile = "/etc/resolv.conf"
	UnitsDirectory = "/etc/systemd/system"
)

// Account that the proxy runs as; the traffic rules exempt it by its number (istio.io/istio, tools/istio-iptables).
const (
	AccountName = "istio-proxy"
	AccountID   = 1337
)

// InboundPort is where the proxy takes what the traffic rules redirect to it of what comes in, in both slots.
const InboundPort = 15006

// Slot is one of the two places that a proxy can run in.
type Slot string

const (
	SlotA Slot = "a"
	SlotB Slot = "b"
)

// Unit is the systemd unit of the slot.
func (s Slot) Unit() string { return "hawser-proxy@" + string(s) + ".service" }

// Directory is the proxy's working directory.
func (s Slot) Directory() string { return path.Join(SlotsDirectory, string(s)) }

// Link is the symbolic link to the slot's version of the proxy's files.
func (s Slot) Link() string { return path.Join(s.Directory(), "version") }

// runDirectory is on a tmpfs.
func (s Slot) runDirectory() string { return path.Join(RunProxyDirectory, "slots", string(s)) }

// TokensDirectory is on a tmpfs; ./var/run/secrets/tokens of the slot leads there.
func (s Slot) TokensDirectory() string { return path.Join(s.runDirectory(), "tokens") }

// TokenFile holds the Istio token.
func (s Slot) TokenFile() string { return path.Join(s.TokensDirectory(), "istio-token") }

// DropIn is the directory of the slot's settings for systemd.
func (s Slot) DropIn() string { return path.Join(UnitsDirectory, s.Unit()+".d") }

func (s Slot) file(name string) string { return path.Join(s.Directory(), name) }

// Ports of a slot that no two proxies on a host can share. All other ports are Envoy's listeners, which share theirs.
type Ports struct {
	Admin, Status, DNS int
}

// Ports are Istio's own for slot a. Those of slot b are in its range and used by nothing of Istio's.
func (s Slot) Ports() Ports {
	if s == SlotB {
		return Ports{Admin: 15060, Status: 15065, DNS: 15063}
	}
	return Ports{Admin: 15000, Status: 15020, DNS: 15053}
}

// VersionDirectory holds the proxy's files of one image, named by its digest without the algorithm.
func VersionDirectory(digest string) string { return path.Join(VersionsDirectory, digest) }
