package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

// EndConnections ends the proxy's connections to addresses that its control plane is not at any more: it would stay with a gateway that is about
// to go, and wait for one that is gone until its own keepalive ends. It connects again by the names, as they are then.
type EndConnections struct {
	Addresses []netip.Addr
	// Port that the connections go to.
	Port uint16
}

func (EndConnections) step() {}

func (s EndConnections) String() string {
	return fmt.Sprintf("end the proxy's connections to port %d of %s", s.Port, strings.Trim(fmt.Sprint(s.Addresses), "[]"))
}

// DiscoveryPort is the port of the control plane, 0 if the state does not tell.
func DiscoveryPort(want *hawserv1.DesiredState) uint16 {
	_, port := discovery(want)
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(number)
}

// discovery is where the control plane is asked for its configuration, NAME:PORT in two, both empty if the state does not tell.
func discovery(want *hawserv1.DesiredState) (name, port string) {
	address := want.GetMesh().GetDiscoveryAddress()
	colon := strings.LastIndexByte(address, ':')
	if colon < 0 {
		return "", ""
	}
	return address[:colon], address[colon+1:]
}

// Gateways are the addresses that the names of the control plane lead to, each once, in the state's order.
func Gateways(want *hawserv1.DesiredState) []netip.Addr {
	var found []netip.Addr
	for _, alias := range want.GetMesh().GetHostAliases() {
		if address, err := netip.ParseAddr(alias.GetAddress()); err == nil && !slices.Contains(found, address) {
			found = append(found, address)
		}
	}
	return found
}

// connections plans that those end which lead to where no name of the control plane leads any more.
func (p *planner) connections() {
	if former := p.former(); len(former) > 0 {
		p.add(EndConnections{former, DiscoveryPort(p.want)})
	}
}

// Former are the addresses that the proxy has connections to, or makes some to, although its control plane is not there any more, sorted.
func Former(want *hawserv1.DesiredState, have Observed) []netip.Addr {
	return newPlanner(want, have).former()
}

// former: names that the host resolves by something else than its hosts file may lead anywhere.
func (p *planner) former() []netip.Addr {
	host, _ := discovery(p.want)
	var names []string
	for _, alias := range p.want.GetMesh().GetHostAliases() {
		names = append(names, alias.GetHostnames()...)
	}
	if !slices.Contains(names, host) {
		return nil
	}
	// What others say of the same names, around the block, counts as well.
	named := append(Gateways(p.want), namedIn(WithoutBlock(p.have.Files[HostsFile].Content), names)...)
	var former []netip.Addr
	for _, address := range p.have.Connections {
		if !slices.Contains(named, address) && !slices.Contains(former, address) {
			former = append(former, address)
		}
	}
	slices.SortFunc(former, netip.Addr.Compare)
	return former
}

// namedIn are the addresses that lines of a hosts(5) file give one of the names.
func namedIn(hosts []byte, names []string) []netip.Addr {
	var found []netip.Addr
	for line := range strings.Lines(string(hosts)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		address, err := netip.ParseAddr(fields[0])
		if err == nil && slices.ContainsFunc(fields[1:], func(name string) bool { return slices.Contains(names, name) }) {
			found = append(found, address)
		}
	}
	return found
}
