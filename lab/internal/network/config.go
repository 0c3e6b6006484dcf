package network

import (
	"fmt"
	"log/slog"
	"net/netip"
)

// Config says where the machines' network is. DefaultConfig has the lab's values.
type Config struct {
	// Bridge is the name of the bridge that all machines are attached to.
	Bridge string
	// Router is the bridge's own address with the machines' prefix length: the machines' gateway and nameserver.
	Router netip.Prefix
	// NetnsDir is the folder in which each machine's network namespace is kept as a file (nsfs mount).
	NetnsDir string
	// Log receives what is done; nil means slog.Default.
	Log *slog.Logger
}

// DefaultConfig is the lab's network of machines, 172.31.0.0/24.
func DefaultConfig() Config {
	return Config{
		Bridge:   "machines",
		Router:   netip.MustParsePrefix("172.31.0.1/24"),
		NetnsDir: "/run/hawser-lab/netns",
	}
}

func (c Config) validate() error {
	switch {
	case c.Bridge == "" || len(c.Bridge) > maxInterfaceName:
		return fmt.Errorf("network: bridge name %q must have 1 to %d characters", c.Bridge, maxInterfaceName)
	case !c.Router.IsValid() || c.Router.Addr() == c.Router.Masked().Addr():
		return fmt.Errorf("network: router %q must be an address with a prefix length, such as 172.31.0.1/24", c.Router)
	case c.NetnsDir == "":
		return fmt.Errorf("network: no folder for network namespaces is set")
	}
	return nil
}

// Direction names one half of a machine's link, seen from the machine.
type Direction string

// The halves of a link: From is what the machine sends, To is what is sent to it.
const (
	Both Direction = "both"
	From Direction = "from"
	To   Direction = "to"
)

// LinkState says which halves of a machine's link are cut.
type LinkState struct {
	CutFrom bool `json:"cutFrom"`
	CutTo   bool `json:"cutTo"`
}

// String is "up", "cut", "cut from" or "cut to".
func (s LinkState) String() string {
	switch {
	case s.CutFrom && s.CutTo:
		return "cut"
	case s.CutFrom:
		return "cut from"
	case s.CutTo:
		return "cut to"
	}
	return "up"
}
