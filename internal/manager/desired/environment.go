package desired

import (
	"maps"
	"slices"
	"strings"

	mesh "istio.io/api/mesh/v1alpha1"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// environment is cluster.env (istioctl/pkg/workload/workload.go, createClusterEnv): the proxy's metadata and what is fixed for the
// machine, sorted by name. What depends on the host, its address above all, is the agent's part.
func environment(f facts.Facts, revision facts.Revision, group facts.Group, policy facts.Policy, machine facts.Machine, config *mesh.ProxyConfig) []*hawserv1.EnvVar {
	rules := interception(f, group, policy, config)
	variables := maps.Clone(config.ProxyMetadata)
	maps.Copy(variables, map[string]string{
		"ISTIO_INBOUND_PORTS":       strings.Join(rules.InboundPorts, ","),
		"ISTIO_LOCAL_EXCLUDE_PORTS": strings.Join(rules.ExcludeInboundPorts, ","),
		"ISTIO_SERVICE_CIDR":        strings.Join(rules.OutboundCidrs, ","),
		"ISTIO_NAMESPACE":           group.Namespace,
		"ISTIO_SERVICE":             group.Name + "." + group.Namespace,
		"POD_NAME":                  machine.Name,
		"SERVICE_ACCOUNT":           group.AccountOf(machine),
	})
	if revision.Name != facts.DefaultRevision {
		variables["CA_ADDR"] = discoveryAddress(f.IstioNamespace, revision.Name)
	}
	var list []*hawserv1.EnvVar
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		list = append(list, &hawserv1.EnvVar{Name: name, Value: variables[name]})
	}
	return list
}
