package report

import "time"

// Facts is all that the agent's parts found out. Each part writes its own fields through Board.Update.
type Facts struct {
	Connection    Connection
	Configuration Configuration
	Proxy         Proxy
	Interception  Interception
	DNS           DNS
	Application   Application
	Certificates  Certificates
	// Address that the machine is reached by, and all of its addresses.
	Address   string
	Addresses []string
	// Draining is set when the machine is about to stop, reboot or leave.
	Draining bool
	// Notices are the manager's remarks on the desired state.
	Notices []Notice
}

// Connection is the stream to the manager.
type Connection struct {
	Up bool
	// Peer is the address of the other end.
	Peer string
	// Since when Up has been what it is.
	Since time.Time
	// Error says why the last attempt failed; empty while up.
	Error string
}

// Configuration is how far the newest desired state is applied.
type Configuration struct {
	// Desired, Applied and Failed are generations; empty if there is none.
	Desired, Applied, Failed string
	Revision                 string
	// Reason and Message say why Failed could not be applied.
	Reason, Message string
	// Steps of the latest application, in order.
	Steps []Step
}

// Step is one change to the host.
type Step struct {
	// Name for humans: "proxy 1.31.0 installed".
	Name    string        `json:"name"`
	Done    bool          `json:"done"`
	Started time.Time     `json:"started"`
	Took    time.Duration `json:"took,omitempty"`
	Error   string        `json:"error,omitempty"`
}

// Proxy is the running proxy.
type Proxy struct {
	Version, ImageDigest, Slot string
	Ready                      bool
	// Message says why not, in the proxy's own words.
	Message string
}

// Interception is whether the host's traffic goes through the proxy.
type Interception struct {
	// Wanted is false if the desired state asks for no rules at all.
	Wanted, Active bool
	// Backend is "nftables" or "iptables"; empty while not active.
	Backend string
	Message string
}

// DNS is how the host's resolver learns the cluster's names.
type DNS struct {
	// Way is "redirect", "systemd-resolved" or empty.
	Way           string
	SearchDomains []string
}

// Application is the verdict of the group's probe.
type Application struct {
	// Probed is false if the group has no probe: the application then counts as ready.
	Probed, Ready bool
	// Message is the last failure's own words.
	Message string
}

// Certificates holds the life times of what the machine proves itself with; zero times are unknown.
type Certificates struct {
	Agent, Proxy Validity
	// IstioToken has no known beginning.
	IstioToken Validity
}

// Validity is the time during which a certificate or token is valid.
type Validity struct {
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
}

// Notice is a remark of the manager.
type Notice struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
}
