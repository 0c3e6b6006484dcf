package plan

import (
	"bytes"
	"slices"
	"strings"
)

// hosts plans the names of the control plane in /etc/hosts.
func (p *planner) hosts() {
	var lines []string
	for _, alias := range p.want.GetMesh().GetHostAliases() {
		lines = append(lines, alias.GetAddress()+" "+strings.Join(alias.GetHostnames(), " "))
	}
	p.edit(HostsFile, lines)
}

// searchBlock is what resolv.conf(5) gets: the last search line counts, so it repeats the domains that the host had.
func searchBlock(domains []string, hosts []byte) []string {
	if len(domains) == 0 {
		return nil
	}
	return []string{"search " + strings.Join(united(domains, searchDomains(hosts)), " ")}
}

// upstream is the proxy's own resolv.conf: the host's servers and options, and the search domains of the mesh first, by which
// the proxy finds the names that a resolver made out of one (istio.io/istio, pkg/dns/client).
func (p *planner) upstream() []byte {
	var text bytes.Buffer
	domains := hostDomains(p.have)
	if p.mesh != NoLookups {
		domains = united(p.want.GetDns().GetSearchDomains(), domains)
	}
	for line := range strings.Lines(string(p.have.Upstream)) {
		switch fields := strings.Fields(line); {
		case len(fields) < 2:
		case fields[0] == "nameserver", fields[0] == "options":
			text.WriteString(strings.Join(fields, " ") + "\n")
		}
	}
	if len(domains) > 0 {
		text.WriteString("search " + strings.Join(domains, " ") + "\n")
	}
	return text.Bytes()
}

// hostDomains are the search domains that the host has without Hawser. systemd-resolved lists those of all links as one, Hawser's link
// among them; taken for the host's own, they would be the proxy's for one more restart after they are gone.
func hostDomains(have Observed) []string {
	return slices.DeleteFunc(slices.Clone(searchDomains(have.Upstream)), func(domain string) bool {
		return slices.Contains(have.Lookups.Search, domain)
	})
}

// searchDomains of a resolv.conf: those of its last search or domain line.
func searchDomains(resolvConf []byte) []string {
	var domains []string
	for line := range strings.Lines(string(resolvConf)) {
		if fields := strings.Fields(line); len(fields) >= 2 && (fields[0] == "search" || fields[0] == "domain") {
			domains = fields[1:]
		}
	}
	return domains
}

// united appends to list those of more that it does not have.
func united(list, more []string) []string {
	list = slices.Clone(list)
	for _, entry := range more {
		if !slices.Contains(list, entry) {
			list = append(list, entry)
		}
	}
	return list
}
