package desired

import (
	"fmt"
	"maps"
	"slices"

	mesh "istio.io/api/mesh/v1alpha1"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// Ports of the proxy and of the host that stay out of interception (istioctl/pkg/workload/workload.go, createClusterEnv): SSH, so
// that a broken proxy locks nobody out; the proxy's metrics and health ports; its agent's status port.
const (
	portSSH           = 22
	portMetrics       = 15090
	portHealth        = 15021
	portDefaultStatus = 15020
)

func interception(f facts.Facts, group facts.Group, policy facts.Policy, config *mesh.ProxyConfig) *hawserv1.Interception {
	rules := &hawserv1.Interception{
		Mode:                 hawserv1.Interception_MODE_REDIRECT,
		InboundPorts:         []string{"*"},
		OutboundCidrs:        []string{"*"},
		ExcludeOutboundCidrs: policy.ExcludeOutboundCIDRs,
	}
	if !policy.Intercept {
		rules.Mode = hawserv1.Interception_MODE_NONE
	}
	if policy.HoldTraffic {
		rules.OnProxyFailure = hawserv1.Interception_ON_PROXY_FAILURE_HOLD
	}
	if ports := slices.Sorted(maps.Values(group.Spec.GetTemplate().GetPorts())); len(ports) > 0 {
		rules.InboundPorts = texts(slices.Compact(ports))
	}
	inbound := []int32{portSSH, portMetrics, portHealth}
	switch config.StatusPort {
	case portMetrics, portHealth:
	case 0:
		inbound = append(inbound, portDefaultStatus)
	default:
		inbound = append(inbound, config.StatusPort)
	}
	rules.ExcludeInboundPorts = texts(united(inbound, policy.ExcludeInboundPorts))
	// The agent's way to the manager is the gateway's discovery port: it has to stand while the proxy does not.
	var outbound []int32
	if len(discoveryGateways(f)) > 0 {
		outbound = append(outbound, discoveryPort)
	}
	rules.ExcludeOutboundPorts = texts(united(outbound, policy.ExcludeOutboundPorts))
	return rules
}

// dns makes names of the cluster resolve as they do in a pod of the group's namespace. "svc" is a zone too, as resolvers that
// route by zone get names such as web.shop.svc without a search domain.
func dns(f facts.Facts, group facts.Group, policy facts.Policy) *hawserv1.Dns {
	if !policy.DNS {
		return &hawserv1.Dns{}
	}
	return &hawserv1.Dns{
		Enabled: true,
		SearchDomains: []string{
			group.Namespace + ".svc." + f.ClusterDomain,
			"svc." + f.ClusterDomain,
			f.ClusterDomain,
		},
		Zones: []string{f.ClusterDomain, "svc"},
	}
}

func unit(policy facts.Policy) *hawserv1.Unit {
	restart := hawserv1.Unit_RESTART_UNSPECIFIED
	if policy.RestartManually {
		restart = hawserv1.Unit_RESTART_MANUAL
	}
	return &hawserv1.Unit{
		MemoryMax:          policy.MemoryMax,
		OpenFiles:          policy.OpenFiles,
		DrainMilliseconds:  policy.Drain.Milliseconds(),
		RetireMilliseconds: policy.DrainDeadline.Milliseconds(),
		Restart:            restart,
	}
}

// united appends the numbers of more that list does not have, in their order.
func united(list, more []int32) []int32 {
	for _, number := range more {
		if !slices.Contains(list, number) {
			list = append(list, number)
		}
	}
	return list
}

func texts[T int32 | uint32](numbers []T) []string {
	var list []string
	for _, number := range numbers {
		list = append(list, fmt.Sprint(number))
	}
	return list
}
