package report

import "time"

// Facts is all that the agent's parts found out. Each part writes its own fields through Board.Update. The JSON form is what
// `hawser-agent status -o json` prints.
type Facts struct {
	Connection    Connection    `json:"connection"`
	Configuration Configuration `json:"configuration"`
	Proxy         Proxy         `json:"proxy"`
	Interception  Interception  `json:"interception"`
	DNS           DNS           `json:"dns"`
	Application   Application   `json:"application"`
	Certificates  Certificates  `json:"certificates"`
	// Drift is told by its condition.
	Drift Drift `json:"-"`
	// Address that the machine is reached by, and all of its addresses.
	Address   string   `json:"address"`
	Addresses []string `json:"addresses"`
	// Hostname is what the host is called.
	Hostname Hostname `json:"hostname"`
	// Draining is set when the machine is about to stop, reboot or leave.
	Draining bool `json:"draining"`
	// Notices are the manager's remarks on the desired state.
	Notices []Notice `json:"notices,omitempty"`
}

// Hostname is the host's name when the agent started, which the manager knows, and now. It names no machine: that has the name that it joined by.
type Hostname struct {
	Known string `json:"known,omitempty"`
	Now   string `json:"now,omitempty"`
}

// Connection is the stream to the manager.
type Connection struct {
	Up bool `json:"up"`
	// Peer is the address of the other end.
	Peer string `json:"peer,omitempty"`
	// Since when Up has been what it is.
	Since time.Time `json:"since,omitzero"`
	// Error says why the last attempt failed; empty while up. Reason is the manager's code if it refused.
	Error  string `json:"error,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Configuration is how far the newest desired state is applied.
type Configuration struct {
	// Desired, Applied and Failed are generations; empty if there is none.
	Desired  string `json:"desired,omitempty"`
	Applied  string `json:"applied,omitempty"`
	Failed   string `json:"failed,omitempty"`
	Revision string `json:"revision,omitempty"`
	// Reason and Message say why Failed could not be applied.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Steps of the latest application, in order.
	Steps []Step `json:"steps,omitempty"`
}

// Step is one change to the host.
type Step struct {
	// Name for humans: "proxy 1.31.0 installed".
	Name     string    `json:"name"`
	Started  time.Time `json:"started,omitzero"`
	Finished time.Time `json:"finished,omitzero"`
	// Error says why the step failed; it may be tried again.
	Error string `json:"error,omitempty"`
}

// Proxy is the running proxy.
type Proxy struct {
	Version     string `json:"version,omitempty"`
	ImageDigest string `json:"imageDigest,omitempty"`
	Slot        string `json:"slot,omitempty"`
	Ready       bool   `json:"ready"`
	// Outdated names what the proxy waits for a restart with, by the machine's owner; none if there is nothing.
	Outdated []string `json:"outdated,omitempty"`
	// Retiring is the slot of a former proxy, which drains; empty if there is none.
	Retiring string `json:"retiring,omitempty"`
	// Gaps says what a proxy of another version cannot take over without a gap on this host.
	Gaps string `json:"gaps,omitempty"`
	// Message says why not, in the proxy's own words.
	Message string `json:"message,omitempty"`
}

// Interception is whether the host's traffic goes through the proxy.
type Interception struct {
	// Wanted is false if the desired state asks for no rules at all.
	Wanted bool `json:"wanted"`
	Active bool `json:"active"`
	// Passing: the proxy does not serve, and the host's traffic passes without it.
	Passing bool `json:"passing,omitempty"`
	// Backend is "nftables" or "iptables"; empty while not active.
	Backend string `json:"backend,omitempty"`
	Message string `json:"message,omitempty"`
}

// DNS is how the host's resolver learns the cluster's names.
type DNS struct {
	// Way is "redirect", "systemd-resolved" or empty.
	Way           string   `json:"way,omitempty"`
	SearchDomains []string `json:"searchDomains,omitempty"`
}

// Application is the verdict of the group's probe.
type Application struct {
	// Probed is false if the group has no probe: the application then counts as ready.
	Probed bool `json:"probed"`
	Ready  bool `json:"ready"`
	// Message is the last failure's own words.
	Message string `json:"message,omitempty"`
}

// Certificates holds the life times of what the machine proves itself with; zero times are unknown.
type Certificates struct {
	Agent Validity `json:"agent"`
	Proxy Validity `json:"proxy"`
	// IstioToken has no known beginning.
	IstioToken Validity `json:"istioToken"`
}

// Validity is the time during which a certificate or token is valid.
type Validity struct {
	// Obtained is when this host got it, by its own clock; NotBefore is earlier, since issuers date certificates back.
	Obtained  time.Time `json:"obtained,omitzero"`
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
}

// Notice is a remark of the manager.
type Notice struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
}
