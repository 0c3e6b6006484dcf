package desired

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	mesh "istio.io/api/mesh/v1alpha1"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// hostAliases leads the names of istiod that only the cluster knows to the gateways that expose it: one line for each address
// of each gateway, so that the proxy's resolver has all of them to try.
func hostAliases(f facts.Facts, config *mesh.ProxyConfig, environment []*hawserv1.EnvVar) ([]*hawserv1.HostAlias, []facts.Notice, *facts.Problem) {
	hosts := clusterHosts(f, config, environment)
	if len(hosts) == 0 {
		return nil, nil, nil
	}
	var aliases []*hawserv1.HostAlias
	var notices []facts.Notice
	var unresolved []string
	seen := map[string]bool{}
	for _, gateway := range discoveryGateways(f) {
		for _, address := range gateway.Addresses {
			if len(address.IPs) == 0 {
				unresolved = append(unresolved, address.Hostname)
				notices = append(notices, facts.Notice{
					Reason:  facts.NoticeGatewayUnresolved,
					Message: fmt.Sprintf("gateway %s has the host name %s, which does not resolve in the cluster", gateway.NamespacedName, address.Hostname),
				})
			}
			for _, ip := range address.IPs {
				if !seen[ip] {
					seen[ip] = true
					aliases = append(aliases, &hawserv1.HostAlias{Address: ip, Hostnames: hosts})
				}
			}
		}
	}
	if len(aliases) == 0 {
		return nil, nil, noGateway(f, hosts, unresolved)
	}
	return aliases, notices, nil
}

// discoveryGateways are the gateways that lead to istiod.
func discoveryGateways(f facts.Facts) []facts.Gateway {
	var found []facts.Gateway
	for _, gateway := range f.Gateways {
		if gateway.DiscoveryPort != 0 {
			found = append(found, gateway)
		}
	}
	return found
}

// clusterHosts are the names of discovery and CA addresses that do not resolve outside of the cluster.
func clusterHosts(f facts.Facts, config *mesh.ProxyConfig, environment []*hawserv1.EnvVar) []string {
	addresses := []string{config.DiscoveryAddress}
	for _, variable := range environment {
		if variable.Name == "CA_ADDR" {
			addresses = append(addresses, variable.Value)
		}
	}
	var hosts []string
	for _, address := range addresses {
		host, _, found := strings.Cut(address, ":")
		if _, err := netip.ParseAddr(host); !found || err == nil {
			continue
		}
		inCluster := strings.HasSuffix(host, ".svc") || strings.HasSuffix(host, ".svc."+f.ClusterDomain)
		if inCluster && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

func noGateway(f facts.Facts, hosts, unresolved []string) *facts.Problem {
	problem := &facts.Problem{Reason: facts.ReasonNoGateway}
	switch {
	case len(f.Gateways) == 0:
		problem.Message = fmt.Sprintf("the mesh has no gateway that leads machines to %s", strings.Join(hosts, ", "))
		problem.Next = "install a mesh-expansion (east-west) gateway with port 15012, and label its Service as the manager's gateway selector says"
	case len(discoveryGateways(f)) == 0:
		problem.Message = fmt.Sprintf("gateway %s has no port %d", f.Gateways[0].NamespacedName, discoveryPort)
		problem.Next = "add the port to the gateway's Service, so that it exposes istiod to machines"
	case len(unresolved) > 0:
		problem.Message = fmt.Sprintf("the gateway's host name %s does not resolve in the cluster", strings.Join(unresolved, ", "))
		problem.Next = "check the load balancer's DNS record and the cluster's DNS"
	default:
		problem.Message = fmt.Sprintf("the Service of gateway %s has no address yet", discoveryGateways(f)[0].NamespacedName)
		problem.Next = "check its load balancer (kubectl describe service), or give it externalIPs"
	}
	return problem
}
