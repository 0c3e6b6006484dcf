package confine

import (
	"net"
	"slices"
	"strings"

	meshv1alpha1 "istio.io/api/mesh/v1alpha1"
	networkingapi "istio.io/api/networking/v1"
	"istio.io/api/networking/v1alpha3"
	securityapi "istio.io/api/security/v1"
	"istio.io/api/security/v1beta1"
	typeapi "istio.io/api/type/v1beta1"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	security "istio.io/client-go/pkg/apis/security/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// Name of the objects of a group.
func Name(group string) string { return "hawser-" + group }

// Compute returns what confines the group's machines.
//
// They may call their own namespace, the namespaces that policies open, and the services that the mesh's own configuration has
// proxies send telemetry and authorization requests to. They may be called by workloads of their own namespace and of those that
// policies open; a caller without a mesh identity is refused.
func Compute(f facts.Facts, group facts.Group) (*networking.Sidecar, *security.AuthorizationPolicy) {
	policy := f.PolicyOf(group.Namespace, group.Name)
	return sidecar(f, group, policy), authorization(f, group, policy)
}

func sidecar(f facts.Facts, group facts.Group, policy facts.Policy) *networking.Sidecar {
	hosts := append([]string{"./*"}, providerHosts(f, group)...)
	for _, namespace := range policy.EgressNamespaces {
		if namespace != group.Namespace {
			hosts = append(hosts, namespace+"/*")
		}
	}
	mode := v1alpha3.OutboundTrafficPolicy_ALLOW_ANY
	if policy.DenyExternal {
		mode = v1alpha3.OutboundTrafficPolicy_REGISTRY_ONLY
	}
	return &networking.Sidecar{
		TypeMeta:   metav1.TypeMeta{APIVersion: networking.SchemeGroupVersion.String(), Kind: "Sidecar"},
		ObjectMeta: objectMeta(group),
		Spec: networkingapi.Sidecar{
			WorkloadSelector:      &networkingapi.WorkloadSelector{Labels: selector(group)},
			Egress:                []*networkingapi.IstioEgressListener{{Hosts: hosts}},
			OutboundTrafficPolicy: &networkingapi.OutboundTrafficPolicy{Mode: mode},
		},
	}
}

func authorization(f facts.Facts, group facts.Group, policy facts.Policy) *security.AuthorizationPolicy {
	namespaces := []string{group.Namespace}
	for _, namespace := range policy.IngressNamespaces {
		if namespace != group.Namespace {
			namespaces = append(namespaces, namespace)
		}
	}
	return &security.AuthorizationPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: security.SchemeGroupVersion.String(), Kind: "AuthorizationPolicy"},
		ObjectMeta: objectMeta(group),
		Spec: securityapi.AuthorizationPolicy{
			Selector: &typeapi.WorkloadSelector{MatchLabels: selector(group)},
			Action:   v1beta1.AuthorizationPolicy_ALLOW,
			Rules: []*securityapi.Rule{{
				From: []*securityapi.Rule_From{{Source: &securityapi.Source{Namespaces: namespaces}}},
			}},
		},
	}
}

func selector(group facts.Group) map[string]string {
	return map[string]string{v1alpha1.LabelGroup: group.Name}
}

func objectMeta(group facts.Group) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: group.Namespace,
		Name:      Name(group.Name),
		Labels:    map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelGroup: group.Name},
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: networking.SchemeGroupVersion.String(),
			Kind:       "WorkloadGroup",
			Name:       group.Name,
			UID:        group.UID,
		}},
	}
}

// providerHosts are the services in the cluster that the mesh has every proxy call: extension providers (tracing, access logs, external
// authorization) and the address of the default tracer. Without them in the Sidecar, istiod leaves them out of the proxy's
// configuration, and the machine's traces and logs would be lost. Each is one service, not its whole namespace.
func providerHosts(f facts.Facts, group facts.Group) []string {
	revision, problem := f.RevisionOf(group)
	if problem != nil {
		return nil
	}
	var hosts []string
	for _, provider := range revision.Mesh.GetExtensionProviders() {
		if service := providerService(provider); service != "" {
			hosts = append(hosts, egressHost(f, service))
		}
	}
	if config, problem := revision.ProxyConfig(group); problem == nil {
		if host, _, err := net.SplitHostPort(config.GetTracing().GetZipkin().GetAddress()); err == nil {
			hosts = append(hosts, egressHost(f, host))
		}
	}
	// What lies in the own namespace is open already; a name outside of the cluster is no service.
	hosts = slices.DeleteFunc(hosts, func(host string) bool { return host == "" || strings.HasPrefix(host, group.Namespace+"/") })
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

func providerService(provider *meshv1alpha1.MeshConfig_ExtensionProvider) string {
	for _, candidate := range []interface{ GetService() string }{
		provider.GetEnvoyExtAuthzHttp(),
		provider.GetEnvoyExtAuthzGrpc(),
		provider.GetZipkin(),
		provider.GetDatadog(),
		provider.GetSkywalking(),
		provider.GetOpentelemetry(),
		provider.GetEnvoyHttpAls(),
		provider.GetEnvoyTcpAls(),
		provider.GetEnvoyOtelAls(),
	} {
		if service := candidate.GetService(); service != "" {
			return service
		}
	}
	return ""
}

// egressHost makes "<namespace>/<full name>" of a service's name as providers give it ("[<namespace>/]<host>"); empty if the namespace
// cannot be told.
func egressHost(f facts.Facts, service string) string {
	namespace, host, found := strings.Cut(service, "/")
	if !found {
		host = service
		labels := strings.SplitN(host, ".", 4)
		switch {
		case len(labels) == 2, len(labels) > 2 && labels[2] == "svc":
			namespace = labels[1]
		default:
			return ""
		}
	}
	switch strings.Count(host, ".") {
	case 1:
		host += ".svc." + f.ClusterDomain
	case 2:
		if strings.HasSuffix(host, ".svc") {
			host += "." + f.ClusterDomain
		}
	}
	return namespace + "/" + host
}
