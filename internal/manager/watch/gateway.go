package watch

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hawser-io/hawser/internal/manager/facts"
)

// labelNetwork is on a gateway's Service: the network that it is the way into.
const labelNetwork = "topology.istio.io/network"

// discoveryPort is the port that a gateway exposes istiod on (istio.io/istio, samples/multicluster/expose-istiod.yaml).
const discoveryPort = 15012

// gateways are the Services of mesh-expansion gateways and what their host names resolve to.
type gateways struct {
	found    map[types.NamespacedName]facts.Gateway
	resolved map[string][]string

	listed []facts.Gateway
}

func (g *gateways) set(selector labels.Selector, o *core.Service) bool {
	key := client.ObjectKeyFromObject(o)
	if !selector.Matches(labels.Set(o.Labels)) {
		return g.remove(key)
	}
	gateway := gatewayOf(o)
	if old, ok := g.found[key]; ok && reflect.DeepEqual(old, gateway) {
		return false
	}
	if g.found == nil {
		g.found = map[types.NamespacedName]facts.Gateway{}
	}
	g.found[key] = gateway
	g.listed = nil
	return true
}

func (g *gateways) remove(key types.NamespacedName) bool {
	_, known := g.found[key]
	delete(g.found, key)
	if known {
		g.listed = nil
	}
	return known
}

// hostnames that have to be resolved, sorted.
func (g *gateways) hostnames() []string {
	names := map[string]bool{}
	for _, gateway := range g.found {
		for _, address := range gateway.Addresses {
			if address.Hostname != "" {
				names[address.Hostname] = true
			}
		}
	}
	return sortedKeys(names)
}

// resolve takes in what host names resolve to; it reports whether an address of a gateway changed.
func (g *gateways) resolve(addresses map[string][]string) bool {
	if maps.EqualFunc(g.resolved, addresses, slices.Equal[[]string]) {
		return false
	}
	g.resolved = addresses
	g.listed = nil
	return true
}

func (g *gateways) list() []facts.Gateway {
	if g.listed != nil || len(g.found) == 0 {
		return g.listed
	}
	for _, gateway := range g.found {
		gateway.Addresses = slices.Clone(gateway.Addresses)
		for i, address := range gateway.Addresses {
			if address.Hostname != "" {
				gateway.Addresses[i].IPs = g.resolved[address.Hostname]
			}
		}
		g.listed = append(g.listed, gateway)
	}
	slices.SortFunc(g.listed, func(a, b facts.Gateway) int { return strings.Compare(a.String(), b.String()) })
	return g.listed
}

// gatewayOf reads the addresses of a Service: its load balancer's, else its externalIPs, as istioctl does
// (istioctl/pkg/workload/workload.go, createHosts).
func gatewayOf(o *core.Service) facts.Gateway {
	gateway := facts.Gateway{NamespacedName: client.ObjectKeyFromObject(o), Network: o.Labels[labelNetwork]}
	for _, ingress := range o.Status.LoadBalancer.Ingress {
		switch {
		case ingress.IP != "":
			gateway.Addresses = append(gateway.Addresses, facts.GatewayAddress{IPs: []string{ingress.IP}})
		case ingress.Hostname != "":
			gateway.Addresses = append(gateway.Addresses, facts.GatewayAddress{Hostname: ingress.Hostname})
		}
	}
	if len(gateway.Addresses) == 0 {
		for _, ip := range o.Spec.ExternalIPs {
			gateway.Addresses = append(gateway.Addresses, facts.GatewayAddress{IPs: []string{ip}})
		}
	}
	for _, port := range o.Spec.Ports {
		if port.Port == discoveryPort {
			gateway.DiscoveryPort = port.Port
		}
	}
	return gateway
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
