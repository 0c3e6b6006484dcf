package facts

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/hawser-io/hawser/api/v1alpha1"
)

// Facts is a snapshot of all that the manager knows of the cluster. Copying it is cheap; its maps, and what they lead to, are
// shared and must not be changed.
type Facts struct {
	// IstioNamespace is where istiod and its configuration live ("istio-system").
	IstioNamespace string
	// ClusterDomain is the DNS suffix of the cluster ("cluster.local").
	ClusterDomain string
	// Namespaces by name.
	Namespaces map[string]Namespace
	// Groups are the WorkloadGroups.
	Groups map[types.NamespacedName]Group
	// Policies of a namespace, sorted by name.
	Policies map[string][]*v1alpha1.MachinePolicy
	// Revisions of Istio by name; the one without a name in Istio's own objects is DefaultRevision.
	Revisions map[string]Revision
	// Tags lead from a revision tag to the revision that it stands for (Istio: label istio.io/tag).
	Tags map[string]string
	// RootCertificates of the mesh, PEM, as istiod publishes them in each namespace (ConfigMap istio-ca-root-cert).
	RootCertificates map[string]string
	// Gateways that machines reach the mesh by, sorted by namespace and name.
	Gateways []Gateway
	// Proxies are the proxies' files as far as they were pulled; what is not in the map is still awaited.
	Proxies map[ProxyKey]ProxyState
	// Machines that have joined.
	Machines map[types.NamespacedName]Machine
}

// Namespace is what matters of a namespace.
type Namespace struct {
	Name   string
	Labels map[string]string
}

// Machine is a joined machine as far as its desired state depends on it.
type Machine struct {
	// Namespace and Name; the name is the hostname.
	types.NamespacedName
	UID types.UID
	// Group is the name of its WorkloadGroup, in the same namespace.
	Group string
	// Architecture in Go's terms: amd64, arm64. Empty until the agent has reported it; it counts as amd64 then.
	Architecture string
	// Addresses of the host, the default route's first.
	Addresses []string
	// ServiceAccount that its Istio token is of; empty as long as it has none.
	ServiceAccount string
	// KeyFingerprint of the key that it joined with, lower-case hex SHA-256.
	KeyFingerprint string
	Revoked        bool
	// Deleting: the Machine object is being deleted.
	Deleting bool
	// Returning: it is being taken back after a restore of the cluster's state, or has just been. What it had of the mesh is void.
	Returning bool
}

// GroupKey returns the key of the machine's group in Facts.Groups.
func (m Machine) GroupKey() types.NamespacedName {
	return types.NamespacedName{Namespace: m.Namespace, Name: m.Group}
}

// Gateway is a mesh-expansion gateway's Service.
type Gateway struct {
	types.NamespacedName
	// Network that the gateway is the way into (label topology.istio.io/network).
	Network string
	// Addresses that machines can dial, in the order of the Service's status.
	Addresses []GatewayAddress
	// DiscoveryPort is the port that leads to istiod, 0 if the Service has none.
	DiscoveryPort int32
}

// GatewayAddress is one address of a gateway: a literal, or a host name with what it resolves to.
type GatewayAddress struct {
	// Hostname of a load balancer that has no fixed address; empty for a literal.
	Hostname string
	// IPs are the literal, or what the name resolves to, sorted; empty if it does not resolve.
	IPs []string
}
