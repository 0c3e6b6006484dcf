package machine

import (
	"fmt"
	"net/netip"
	"regexp"
	"time"
)

// Options are the choices at the making of a machine.
type Options struct {
	// Resolved gives the machine systemd-resolved with its stub resolver, in place of a plain resolv.conf.
	Resolved bool
	// Address is the machine's address; the zero value takes the lowest free one.
	Address netip.Addr
	// Stopped makes the machine without booting it.
	Stopped bool
}

// Spec is what is kept of a machine on disk.
type Spec struct {
	Name      string     `json:"name"`
	Address   netip.Addr `json:"address"`
	Resolved  bool       `json:"resolved"`
	MachineID string     `json:"machineID"`
	// Rootfs is the shared root file system below the machine's own disk.
	Rootfs string `json:"rootfs"`
	// Copied is true where the disk is a full copy, because the lab's folder cannot carry an overlay.
	Copied bool `json:"copied,omitempty"`
	// On is the power switch: the machine boots when the lab comes up.
	On      bool      `json:"on"`
	Created time.Time `json:"created"`
}

// State is where a machine is in its life.
type State string

// The states, in the order in which a machine goes through them. A machine that stopped against its owner's will is
// Stopped too; Status.Message says why.
const (
	Stopped  State = "stopped"
	Starting State = "starting"
	Running  State = "running"
	Stopping State = "stopping"
)

// Status is a machine as others see it.
type Status struct {
	Name     string     `json:"name"`
	Address  netip.Addr `json:"address"`
	Resolved bool       `json:"resolved"`
	State    State      `json:"state"`
	// Boot counts the boots since the lab came up.
	Boot int `json:"boot"`
	// Leader is the process id of the machine's PID 1 in the lab's process namespace, 0 while there is none.
	Leader int `json:"leader,omitempty"`
	// Since is when the state was entered.
	Since time.Time `json:"since,omitzero"`
	// Message is what an owner should know: why a machine is off, or that its boot has not finished.
	Message string `json:"message,omitempty"`
}

// validName is an RFC 1123 label: a machine's name is its hostname, a folder and an nspawn machine name.
func validName(name string) error {
	if !regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`).MatchString(name) {
		return fmt.Errorf("machine: illegal name %q: use up to 63 lower-case letters, digits and inner hyphens", name)
	}
	return nil
}

// Packages are the Debian packages of the shared root file system, beside those of debootstrap's minbase variant: what a
// small server has, with both resolvers (a machine without systemd-resolved has it purged when it is made) and with SSH,
// which interception must leave alone.
func Packages() []string {
	return []string{
		"systemd", "systemd-sysv", "dbus", "systemd-resolved", "libnss-resolve",
		"iproute2", "iptables", "nftables", "iputils-ping", "netcat-openbsd", "curl", "ca-certificates",
		"openssh-server", "sudo", "procps",
	}
}
