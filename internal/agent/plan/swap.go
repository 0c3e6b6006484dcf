package plan

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

// CurrentLink names the slot that carries the traffic. Without it that is slot a.
const CurrentLink = ProxyDirectory + "/current"

// Other is the slot beside this one.
func (s Slot) Other() Slot {
	if s == SlotA {
		return SlotB
	}
	return SlotA
}

// currentTarget is where CurrentLink leads to for the slot.
func (s Slot) currentTarget() string { return path.Join("slots", string(s)) }

// DrainMarker says since when the slot's proxy drains, and which process that is; a reboot forgets it.
func (s Slot) DrainMarker() string { return path.Join(s.runDirectory(), "draining") }

// StartBeside starts a slot's proxy beside the one that serves, and returns when it is ready. One that does not get ready is stopped again: its listeners
// share their ports with those of the proxy that serves.
type StartBeside struct{ Slot Slot }

// MigrateRequests sets MigrateRequestsSetting: connections that a proxy has not accepted when it closes its listeners go to the one beside it. A kernel that lets
// nobody set it is no reason not to go on.
type MigrateRequests struct{}

// MigrateRequestsSetting is 0 by default (linux, Documentation/networking/ip-sysctl.rst, tcp_migrate_req).
const MigrateRequestsSetting = "/proc/sys/net/ipv4/tcp_migrate_req"

// DrainProxy has a slot's proxy ask its callers to go elsewhere, and take no new connections in the end. It does not wait for that.
type DrainProxy struct {
	Slot Slot
	// Time until it takes none, and Deadline from then on until what is left is cut.
	Time, Deadline time.Duration
}

// StopProxy stops a slot's unit.
type StopProxy struct{ Slot Slot }

// LeadLookups leads the host's lookups to a slot for which Istio's own rules do not.
type LeadLookups struct{ To Leading }

func (StartBeside) step()     {}
func (MigrateRequests) step() {}
func (DrainProxy) step()      {}
func (StopProxy) step()       {}
func (LeadLookups) step()     {}

func (s StartBeside) String() string {
	return fmt.Sprintf("start proxy in slot %s beside the one in slot %s", s.Slot, s.Slot.Other())
}

func (MigrateRequests) String() string {
	return "have a proxy's listeners inherit from those that close"
}

func (s DrainProxy) String() string { return fmt.Sprintf("drain proxy in slot %s", s.Slot) }

func (s StopProxy) String() string { return fmt.Sprintf("stop proxy in slot %s", s.Slot) }

func (s LeadLookups) String() string { return "lead lookups: " + s.To.String() }

// Leading is where lookups go that Istio's rules lead to slot a. The zero value leaves them to those. They are tracked apart for each slot, so that answers of the
// proxy that they went to before still arrive.
type Leading struct {
	// ToB: they go to slot b.
	ToB bool
	// Answers of slot b arrive: it runs.
	Answers bool
	// Nameservers of the host, lookups at which are led.
	Nameservers []string
}

// String is one line; equal ones have equal lines.
func (l Leading) String() string {
	switch {
	case l.ToB:
		return "to slot b, nameservers=" + strings.Join(l.Nameservers, ",")
	case l.Answers:
		return "to slot a, answers of slot b arrive"
	default:
		return "as Istio's rules do"
	}
}

// leading is what p.slot needs: nftables alone can do it.
func (p *planner) leading() Leading {
	if p.mesh != Redirected || p.have.Backend != NFTables {
		return Leading{}
	}
	if p.slot == SlotB {
		return Leading{ToB: true, Answers: true, Nameservers: Nameservers(p.have.Upstream)}
	}
	return Leading{Answers: p.have.Units[SlotB].Active}
}

func (p *planner) lead() {
	// What is not there leads as Istio's rules do.
	have := cmp.Or(p.have.Leading, Leading{}.String())
	if want := p.leading(); want.String() != have {
		p.add(LeadLookups{want})
	}
}

// canSwap: two proxies can run side by side, and lookups can be led from one to the other.
func (p *planner) canSwap() bool {
	return p.mesh != Redirected || p.have.Backend == NFTables
}

// beside returns a planner for the other slot if the proxy in p's is to be replaced by one of another version without a gap; else p itself. What still runs in the
// other slot and is not that one, as another swap was cut off or is not over, is retired first, and p's proxy serves on as it is.
func (p *planner) beside() *planner {
	reasons, _ := p.restart()
	if !slices.Contains(reasons, partVersion) || !p.canSwap() {
		return p
	}
	next := &planner{want: p.want, have: p.have, slot: p.slot.Other(), mesh: p.mesh, from: p.slot}
	if unit := p.have.Units[next.slot]; unit.Active && (unit.Draining || len(next.outdated()) > 0) {
		p.holds = true
		return p
	}
	return next
}

// swapping reports whether the slot takes over from another one.
func (p *planner) swapping() bool { return p.from != "" }

// startBeside starts the slot's proxy, if it does not serve yet.
func (p *planner) startBeside() {
	unit := p.have.Units[p.slot]
	if unit.Active && unit.Ready {
		return
	}
	if p.have.MigrateRequests == MigratesNot {
		p.add(MigrateRequests{})
	}
	p.add(StartBeside{p.slot})
}

// Migration is whether connections go from one proxy's listeners to another's.
type Migration string

const (
	// MigratesNot until it is set.
	MigratesNot Migration = "0"
	Migrates    Migration = "1"
)

// Gaps tells what a proxy of another version cannot take over on this host without a gap; empty if it takes over everything.
func Gaps(want *hawserv1.DesiredState, have Observed) string {
	switch p := newPlanner(want, have); {
	case !p.canSwap():
		return "lookups cannot be handed over by iptables: a proxy of another version is started in place of the running one, which takes a second or two; install nftables"
	case have.MigrateRequests == "":
		return "the kernel has no net.ipv4.tcp_migrate_req (Linux 5.14): a connection that comes in the moment in which the former proxy closes its listeners is reset"
	}
	return ""
}

// current notes which slot carries the traffic.
func (p *planner) current() {
	_, exists := p.have.Files[CurrentLink]
	if exists || p.slot != SlotA {
		p.link(CurrentLink, p.slot.currentTarget())
	}
}

// retire ends the proxy in the other slot when it has drained. While the one that took over does not serve it is not told to.
func (p *planner) retire() {
	other := p.slot.Other()
	unit := p.have.Units[other]
	serves := p.swapping() || p.holds || p.have.Units[p.slot].Ready
	switch {
	case !unit.Active, !serves:
	case !unit.Draining:
		p.add(DrainProxy{other, time.Duration(closeSeconds(p.want.GetUnit())) * time.Second, time.Duration(p.want.GetUnit().GetRetireMilliseconds()) * time.Millisecond})
	case unit.Drained && !p.swapping():
		p.add(StopProxy{other})
	}
}

// Retiring is the slot whose proxy has served and drains, empty if there is none.
func Retiring(have Observed) Slot {
	other := ActiveSlot(have).Other()
	if unit := have.Units[other]; unit.Active && unit.Draining {
		return other
	}
	return ""
}
