package plan

import (
	"path"
	"slices"
	"strings"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

// Compute returns the steps, in order, that turn the host into what is desired. It returns none if the host is that already.
//
// The order is the one in which nothing can break what serves already: first everything that the proxy needs, then the proxy
// itself, and only when it is ready the traffic and the lookups that it is for. What it is not for any more is taken from it
// before it restarts.
func Compute(want *hawserv1.DesiredState, have Observed) []Step {
	p := newPlanner(want, have).beside()
	if p.holds {
		p.hosts()
		p.connections()
		p.retire()
		return p.steps
	}
	p.account()
	p.directories()
	p.version()
	p.slotFiles()
	p.certificate()
	p.unitFiles()
	p.hosts()
	p.connections()
	parts := []func(){p.unit, p.lead, p.interception, p.resolver}
	if p.mesh == NoLookups {
		parts = []func(){p.lead, p.resolver, p.unit, p.interception}
		if p.takesBack() {
			parts = []func(){p.lead, p.resolver, p.interception, p.unit}
		}
	}
	for _, part := range parts {
		part()
	}
	p.current()
	p.retire()
	p.leftovers()
	return p.steps
}

// ActiveSlot is the slot that the host's proxy runs in, or would run in. Where both run it is the one that took over last.
func ActiveSlot(have Observed) Slot {
	for _, slot := range []Slot{SlotA, SlotB} {
		if have.Units[slot].Active && !have.Units[slot.Other()].Active {
			return slot
		}
	}
	if have.Files[CurrentLink].Target == SlotB.currentTarget() {
		return SlotB
	}
	return SlotA
}

// Digest of the desired proxy image in hex, without the algorithm.
func Digest(want *hawserv1.DesiredState) string {
	_, digest, _ := strings.Cut(want.GetProxy().GetImageDigest(), ":")
	return digest
}

// Way is how names of the cluster get to the host's programs.
type Way string

const (
	// NoLookups: they do not.
	NoLookups Way = ""
	// Redirected: packets to the host's nameservers go to the proxy.
	Redirected Way = "redirect"
	// Routed: systemd-resolved asks the proxy for the cluster's zones.
	Routed Way = "systemd-resolved"
)

// DNSWay chooses the way. A redirect is a traffic rule: without interception a plain host keeps its lookups as they are.
func DNSWay(want *hawserv1.DesiredState, have Observed) Way {
	switch {
	case !want.GetDns().GetEnabled():
		return NoLookups
	case have.Resolver == Resolved:
		return Routed
	case intercepts(want):
		return Redirected
	default:
		return NoLookups
	}
}

func intercepts(want *hawserv1.DesiredState) bool {
	return want.GetInterception().GetMode() == hawserv1.Interception_MODE_REDIRECT
}

func newPlanner(want *hawserv1.DesiredState, have Observed) *planner {
	return &planner{want: want, have: have, slot: ActiveSlot(have), mesh: DNSWay(want, have)}
}

// planner collects the steps of one plan.
type planner struct {
	want *hawserv1.DesiredState
	have Observed
	slot Slot
	mesh Way
	// from is the slot that this one takes over from; empty if it does not.
	from Slot
	// holds: the proxy serves on as it is, although it is outdated.
	holds bool

	steps []Step
	// reload: a unit's file changes.
	reload bool
}

// takesBack reports whether the rules lead something to a running proxy that it is not going to answer after its restart.
func (p *planner) takesBack() bool {
	redirects := strings.Contains(p.have.Interception.Applied, flagRedirectDNS)
	return !intercepts(p.want) || redirects && p.have.Units[p.slot].Active
}

func (p *planner) add(step Step) { p.steps = append(p.steps, step) }

func (p *planner) account() {
	if !p.have.Account {
		p.add(CreateAccount{})
	}
}

func (p *planner) version() {
	digest := Digest(p.want)
	if !p.have.Versions[digest] {
		proxy := p.want.GetProxy()
		p.add(InstallVersion{Digest: digest, Version: proxy.GetVersion(), MinGlibc: proxy.GetMinGlibc(), Files: proxy.GetFiles()})
	}
}

func (p *planner) unit() {
	if p.reload || p.have.UnitsStale {
		p.add(ReloadUnits{})
	}
	unit := p.have.Units[p.slot]
	if p.swapping() {
		p.startBeside()
		return
	}
	reasons, _ := p.restart()
	switch {
	case !unit.Active:
		p.add(StartProxy{p.slot})
	case len(reasons) > 0:
		p.add(RestartProxy{p.slot, strings.Join(reasons, ", ")})
	case unit.Ready:
		return
	}
	p.add(AwaitProxy{p.slot})
}

func (p *planner) interception() {
	have := p.have.Interception
	if !intercepts(p.want) {
		for _, backend := range have.Backends {
			p.add(EndInterception{backend})
		}
		return
	}
	want := rules(p.want, p.have)
	for _, backend := range have.Backends {
		if backend != want.Backend {
			p.add(EndInterception{backend})
		}
	}
	current := slices.Contains(have.Backends, want.Backend) && have.Whole && have.Applied == want.String()
	if !current {
		p.add(Intercept{want})
	}
	if !current || have.Armed {
		p.add(ConfirmInterception{want})
	}
}

func (p *planner) resolver() {
	var search []string
	if p.mesh == Redirected {
		search = p.want.GetDns().GetSearchDomains()
	}
	if p.have.Resolver == Plain {
		p.edit(ResolvConfFile, searchBlock(search, p.have.Upstream))
	}
	want := Lookups{}
	if p.mesh == Routed {
		want = lookups(p.want, p.slot)
	}
	switch {
	case want.equal(p.have.Lookups):
	case want.Server == "":
		p.add(EndLookups{})
	default:
		p.add(RouteLookups{want})
	}
}

// leftovers removes versions that no slot links to: those of the past, and those of an update that was overtaken. What ran in the other slot stays, as the way back;
// so does one that a proxy still runs, as its restart waits.
func (p *planner) leftovers() {
	if _, later := p.restart(); len(later) > 0 {
		return
	}
	other := path.Base(p.have.Files[p.slot.Other().Link()].Target)
	var unused []string
	for digest := range p.have.Versions {
		if digest != Digest(p.want) && digest != other {
			unused = append(unused, digest)
		}
	}
	slices.Sort(unused)
	for _, digest := range unused {
		p.add(RemoveVersion{digest})
	}
}
