package plan

import (
	"slices"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

// LinkName is the dummy link that carries the cluster's domains in systemd-resolved.
const LinkName = "hawser0"

// Lookups is what systemd-resolved knows by Hawser's link. The zero value is no link.
type Lookups struct {
	// Server is ADDRESS:PORT of the proxy.
	Server string
	// Search domains, most specific first; they route as well.
	Search []string
	// Zones that route to the proxy without being searched.
	Zones []string
}

// Domains in the notation of resolvectl(1): a domain with a tilde is not searched.
func (l Lookups) Domains() []string {
	domains := slices.Clone(l.Search)
	for _, zone := range l.Zones {
		if !slices.Contains(l.Search, zone) {
			domains = append(domains, "~"+zone)
		}
	}
	return domains
}

func (l Lookups) equal(other Lookups) bool {
	return l.Server == other.Server && slices.Equal(l.Domains(), other.Domains())
}

func lookups(want *hawserv1.DesiredState, slot Slot) Lookups {
	return Lookups{
		Server: dnsAddress(slot),
		Search: want.GetDns().GetSearchDomains(),
		Zones:  want.GetDns().GetZones(),
	}
}
