package plan

import (
	"fmt"
	"slices"
	"strings"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

const flagRedirectDNS = "--redirect-dns"

// Rules is which traffic goes through the proxy, in the terms of istio-iptables.
type Rules struct {
	Backend Backend
	// Digest of the proxy version whose istio-iptables makes the rules.
	Digest string
	// Flags of istio-iptables.
	Flags []string
	// SSH: port 22 stays out of inbound interception.
	SSH bool
	// Nameservers of the host, lookups at which are redirected to the proxy.
	Nameservers []string
}

// String is one line; equal rules have equal lines.
func (r Rules) String() string {
	text := fmt.Sprintf("%s %s", r.Backend, strings.Join(r.Flags, " "))
	if len(r.Nameservers) > 0 {
		text += " nameservers=" + strings.Join(r.Nameservers, ",")
	}
	return text
}

// rules translates the desired interception (istio.io/istio, tools/istio-iptables/pkg/cmd/root.go). The uid is given in numbers,
// so that no lookup of a name decides what is exempt.
func rules(want *hawserv1.DesiredState, have Observed) Rules {
	in := want.GetInterception()
	r := Rules{Backend: have.Backend, Digest: Digest(want)}
	r.Flags = []string{
		"--envoy-port=15001",
		fmt.Sprintf("--inbound-capture-port=%d", InboundPort),
		fmt.Sprintf("--proxy-uid=%d", AccountID),
		fmt.Sprintf("--proxy-gid=%d", AccountID),
		"--istio-inbound-interception-mode=REDIRECT",
		"--istio-inbound-ports=" + strings.Join(in.GetInboundPorts(), ","),
		"--istio-local-exclude-ports=" + strings.Join(in.GetExcludeInboundPorts(), ","),
		"--istio-service-cidr=" + strings.Join(in.GetOutboundCidrs(), ","),
		"--istio-service-exclude-cidr=" + strings.Join(in.GetExcludeOutboundCidrs(), ","),
		"--istio-local-outbound-ports-exclude=" + strings.Join(in.GetExcludeOutboundPorts(), ","),
	}
	r.SSH = sparesSSH(in)
	if have.Backend == NFTables {
		r.Flags = append(r.Flags, "--native-nftables")
	}
	if want.GetDns().GetEnabled() && have.Resolver == Plain {
		r.Flags = append(r.Flags, flagRedirectDNS)
		r.Nameservers = Nameservers(have.Upstream)
	}
	return r
}

// sparesSSH reports whether connections to port 22 reach the host itself.
func sparesSSH(in *hawserv1.Interception) bool {
	ports := in.GetInboundPorts()
	if slices.Contains(ports, "*") {
		return slices.Contains(in.GetExcludeInboundPorts(), "22")
	}
	return !slices.Contains(ports, "22")
}

// Nameservers are those of a resolv.conf(5), in its order.
func Nameservers(resolvConf []byte) []string {
	var found []string
	for line := range strings.Lines(string(resolvConf)) {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == "nameserver" && !slices.Contains(found, fields[1]) {
			found = append(found, fields[1])
		}
	}
	return found
}
