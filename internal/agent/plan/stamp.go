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

// part of what a proxy reads at its start and never again, as reasons of a restart name it.
type part struct {
	name    string
	content []byte
	// waits: a proxy may go on with an older one until its owner restarts it. What the traffic that is led to it depends on does not wait.
	waits bool
}

// hash is short: it has to tell one state of a part from the one before, not from all others.
func (p part) hash() string {
	sum := sha256.Sum256(p.content)
	return hex.EncodeToString(sum[:])[:12]
}

const (
	partVersion = "version"
	partAccount = "service account"
)

// partUnknown: the process has a stamp of another version of the agent, or none.
func partUnknown() part { return part{name: "older configuration", waits: true} }

// parts are in the order in which reasons name them.
func (p *planner) parts() []part {
	variables := p.environment()
	address, lookups, account := variables[variableAddress], variables[variableLookups], variables[variableAccount]
	for _, name := range []string{variableAddress, variableLookups, variableAccount} {
		delete(variables, name)
	}
	var others bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		fmt.Fprintf(&others, "%q=%q\n", name, variables[name])
	}
	return []part{
		{partVersion, []byte(Digest(p.want)), true},
		{"mesh configuration", p.want.GetMesh().GetMeshYaml(), true},
		{"upstream resolvers", p.upstream(), false},
		{"address", []byte(address), false},
		{"name resolution", []byte(lookups), false},
		{partAccount, []byte(account), false},
		{"environment", others.Bytes(), true},
		{"unit settings", dropIn(p.want.GetUnit()), true},
	}
}

// stamp has a hash for each part, so that two stamps tell what differs: "0123456789ab-…".
func (p *planner) stamp() string {
	var hashes []string
	for _, part := range p.parts() {
		hashes = append(hashes, part.hash())
	}
	return strings.Join(hashes, "-")
}

// outdated are the parts that the running proxy has read otherwise than they are wanted; none if no proxy runs.
func (p *planner) outdated() []part {
	unit := p.have.Units[p.slot]
	if !unit.Active {
		return nil
	}
	var outdated []part
	parts, has := p.parts(), strings.Split(unit.Configuration, "-")
	if len(has) != len(parts) {
		outdated = append(outdated, partUnknown())
	}
	for i, part := range parts {
		differs := len(has) == len(parts) && has[i] != part.hash()
		if differs || part.name == partAccount && p.renamed() {
			outdated = append(outdated, part)
		}
	}
	return outdated
}

// restart names what the running proxy is to be restarted for: now, or when its owner does. One of the two is empty.
func (p *planner) restart() (now, later []string) {
	waits := p.want.GetUnit().GetRestart() == hawserv1.Unit_RESTART_MANUAL
	var names []string
	for _, part := range p.outdated() {
		names = append(names, part.name)
		waits = waits && part.waits
	}
	if waits {
		return nil, names
	}
	return names, nil
}

// RestartRequired names what a running proxy waits for a restart with, by its owner, or until the other slot is free; none if there is nothing.
func RestartRequired(want *hawserv1.DesiredState, have Observed) []string {
	p := newPlanner(want, have)
	now, later := p.restart()
	if p.beside().holds {
		return now
	}
	return later
}
