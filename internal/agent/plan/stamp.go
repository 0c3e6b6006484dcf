package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

// VariableConfiguration is in the proxy's environment the stamp of all that it read when it started. The running process carries
// it, so that a restart which a crash of the agent cut off is found missing afterwards.
const VariableConfiguration = "HAWSER_CONFIGURATION"

// Parts of what a proxy reads at its start and never again, as reasons of a restart name them.
const (
	partVersion   = "version"
	partMesh      = "mesh configuration"
	partUpstream  = "upstream resolvers"
	partAddress   = "address"
	partLookups   = "name resolution"
	partVariables = "environment"
	partUnit      = "unit settings"
	partAccount   = "service account"
	// partUnknown: the process has a stamp of another version of the agent, or none.
	partUnknown = "older configuration"
)

// hostParts are of the host and of the traffic that is led to the proxy. With older ones it would not work, so that their restart waits
// for nobody; neither does another identity's.
func hostParts() []string { return []string{partUpstream, partAddress, partLookups, partAccount} }

type part struct {
	name    string
	content []byte
}

// parts are in the order in which reasons name them.
func (p *planner) parts() []part {
	variables := p.environment()
	var text bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		if name != variableAddress && name != variableLookups && name != variableAccount {
			fmt.Fprintf(&text, "%q=%q\n", name, variables[name])
		}
	}
	return []part{
		{partVersion, []byte(Digest(p.want))},
		{partMesh, p.want.GetMesh().GetMeshYaml()},
		{partUpstream, p.upstream()},
		{partAddress, []byte(variables[variableAddress])},
		{partLookups, []byte(variables[variableLookups])},
		{partAccount, []byte(variables[variableAccount])},
		{partVariables, text.Bytes()},
		{partUnit, dropIn(p.want.GetUnit())},
	}
}

// stamp has a hash for each part, so that two stamps tell what differs: "0123456789ab-…".
func (p *planner) stamp() string {
	var hashes []string
	for _, part := range p.parts() {
		hash := sha256.Sum256(part.content)
		hashes = append(hashes, hex.EncodeToString(hash[:])[:12])
	}
	return strings.Join(hashes, "-")
}

// outdated names the parts that the running proxy has read otherwise than they are wanted; none if no proxy runs.
func (p *planner) outdated() []string {
	unit := p.have.Units[p.slot]
	if !unit.Active {
		return nil
	}
	var names []string
	parts := p.parts()
	has, wanted := strings.Split(unit.Configuration, "-"), strings.Split(p.stamp(), "-")
	if len(has) != len(parts) {
		names = append(names, partUnknown)
		has = wanted
	}
	for i, part := range parts {
		if has[i] != wanted[i] {
			names = append(names, part.name)
		}
	}
	if p.renamed() && !slices.Contains(names, partAccount) {
		names = append(names, partAccount)
	}
	return names
}

// waits reports whether a restart for these parts is left to the machine's owner.
func (p *planner) waits(outdated []string) bool {
	return p.want.GetUnit().GetRestart() == hawserv1.Unit_RESTART_MANUAL &&
		!slices.ContainsFunc(outdated, func(name string) bool { return slices.Contains(hostParts(), name) })
}

// RestartRequired names what a running proxy waits for a restart with, by its owner; none if there is nothing.
func RestartRequired(want *hawserv1.DesiredState, have Observed) []string {
	p := newPlanner(want, have)
	if outdated := p.outdated(); p.waits(outdated) {
		return outdated
	}
	return nil
}
