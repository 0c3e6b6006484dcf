// Package api has the shapes that the lab's API answers with and the names that both of its sides know.
//
// It decides nothing, and must stay small, as the command line is linked with it.
package api

import (
	"net/netip"
	"time"

	"github.com/hawser-io/hawser/lab/internal/machine"
	"github.com/hawser-io/hawser/lab/internal/sandbox"
)

// GatewayName is what machines call the gateway.
const GatewayName = "gateway.lab.internal"

// DefaultRevision is what the command line and Hawser call the control plane that Istio's chart has no name for.
const DefaultRevision = "default"

// BringUpDeadline bounds how long a lab takes to come up; on a slow disk the images alone take a while.
const BringUpDeadline = 8 * time.Minute

// Report is what `status` shows.
type Report struct {
	Phase sandbox.Phase `json:"phase"`
	// Reason is why the lab did not come up.
	Reason     string                    `json:"reason,omitempty"`
	Steps      []sandbox.Step            `json:"steps,omitempty"`
	Components []sandbox.ComponentStatus `json:"components,omitempty"`
	Machines   []machine.Status          `json:"machines,omitempty"`
	Gateway    []netip.Addr              `json:"gateway,omitempty"`
	// Leftovers are what a lab that does not run has on the host.
	Leftovers []string `json:"leftovers,omitempty"`
}

// IstioRevision is a control plane that is installed.
type IstioRevision struct {
	// Name as Istio's label istio.io/rev has it.
	Name string `json:"name"`
	// Version of istiod and of the proxies that it injects.
	Version string `json:"version"`
	// Tags that stand for it.
	Tags []string `json:"tags,omitempty"`
}
