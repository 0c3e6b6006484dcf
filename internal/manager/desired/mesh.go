package desired

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	mesh "istio.io/api/mesh/v1alpha1"
	"sigs.k8s.io/yaml"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// discoveryPort is istiod's port for secured xDS and certificates.
const discoveryPort = 15012

// autoRegisterGroup makes istiod create a WorkloadEntry of its own; the manager owns the entries.
const autoRegisterGroup = "ISTIO_META_AUTO_REGISTER_GROUP"

// proxyConfig is what mesh.yaml says: the group's effective configuration and the metadata that istiod knows the machine by.
// The keys are those of istioctl/pkg/workload/workload.go, createMeshConfig.
func proxyConfig(f facts.Facts, revision facts.Revision, group facts.Group, policy facts.Policy, machine facts.Machine) (*mesh.ProxyConfig, []facts.Notice, *facts.Problem) {
	config, problem := revision.ProxyConfig(group)
	if problem != nil {
		return nil, nil, problem
	}
	notices := append(labelNotices(group), accountNotices(group, machine)...)
	if _, ok := config.ProxyMetadata[autoRegisterGroup]; ok {
		delete(config.ProxyMetadata, autoRegisterGroup)
		notices = append(notices, facts.Notice{
			Reason:  facts.NoticeConfigIgnored,
			Message: autoRegisterGroup + " of the proxy configuration is left out: the manager makes the machine's WorkloadEntry",
		})
	}
	if config.DiscoveryAddress == "" {
		config.DiscoveryAddress = discoveryAddress(f.IstioNamespace, revision.Name)
	}
	// The agent runs the probe: see docs/adr/0004.
	config.ReadinessProbe = nil
	template := group.Spec.GetTemplate()
	service, canonicalRevision := group.Canonical()
	maps.Copy(config.ProxyMetadata, map[string]string{
		"CANONICAL_SERVICE":         service,
		"CANONICAL_REVISION":        canonicalRevision,
		"POD_NAMESPACE":             group.Namespace,
		"SERVICE_ACCOUNT":           group.AccountOf(machine),
		"TRUST_DOMAIN":              revision.Mesh.GetTrustDomain(),
		"ISTIO_META_CLUSTER_ID":     clusterID(revision),
		"ISTIO_META_MESH_ID":        config.MeshId,
		"ISTIO_META_NETWORK":        template.GetNetwork(),
		"ISTIO_META_WORKLOAD_NAME":  group.Name,
		"ISTIO_META_WORKLOAD_ENTRY": machine.Name,
		"ISTIO_METAJSON_LABELS":     encodeLabels(group),
		"ISTIO_META_DNS_CAPTURE":    fmt.Sprint(policy.DNS),
	})
	if ports := podPorts(template.GetPorts()); ports != "" {
		config.ProxyMetadata["ISTIO_META_POD_PORTS"] = ports
	}
	return config, notices, nil
}

func meshConfig(f facts.Facts, revision facts.Revision, group facts.Group, policy facts.Policy, machine facts.Machine, config *mesh.ProxyConfig) (*hawserv1.MeshConfig, []facts.Notice, *facts.Problem) {
	roots := f.RootCertificates[group.Namespace]
	if roots == "" {
		return nil, nil, &facts.Problem{
			Reason:  facts.ReasonRootCertificateMissing,
			Message: fmt.Sprintf("namespace %s has no ConfigMap istio-ca-root-cert with the mesh's root certificates", group.Namespace),
			Next:    "check that istiod runs and that its discoverySelectors do not leave the namespace out",
		}
	}
	environment := environment(f, revision, group, policy, machine, config)
	aliases, notices, problem := hostAliases(f, config, environment)
	if problem != nil {
		return nil, nil, problem
	}
	meshYAML, err := encodeMesh(config)
	if err != nil {
		return nil, nil, &facts.Problem{
			Reason:  facts.ReasonProxyConfigInvalid,
			Message: fmt.Sprintf("the proxy configuration of WorkloadGroup %s cannot be written: %v", group.NamespacedName, err),
			Next:    "correct the annotation " + facts.AnnotationProxyConfig + " of the WorkloadGroup",
		}
	}
	return &hawserv1.MeshConfig{
		MeshYaml:         meshYAML,
		Environment:      environment,
		RootCertificates: []byte(roots),
		HostAliases:      aliases,
		DiscoveryAddress: config.DiscoveryAddress,
	}, notices, nil
}

// accountNotices tells of a ServiceAccount that the machine does not act as yet.
func accountNotices(group facts.Group, machine facts.Machine) []facts.Notice {
	pending := group.AccountPending(machine)
	if pending == nil {
		return nil
	}
	return []facts.Notice{{Reason: pending.Reason, Message: pending.Error()}}
}

// labelNotices tells which labels of the template override the metadata's, as istioctl does.
func labelNotices(group facts.Group) []facts.Notice {
	metadata, template := group.Spec.GetMetadata().GetLabels(), group.Spec.GetTemplate().GetLabels()
	var overridden []string
	for key, value := range template {
		if other, ok := metadata[key]; ok && other != value {
			overridden = append(overridden, key)
		}
	}
	if len(overridden) == 0 {
		return nil
	}
	slices.Sort(overridden)
	return []facts.Notice{{
		Reason:  facts.NoticeLabelsOverridden,
		Message: fmt.Sprintf("WorkloadGroup %s: spec.template.labels override spec.metadata.labels for %s", group.NamespacedName, strings.Join(overridden, ", ")),
	}}
}

// discoveryAddress is where a revision's istiod answers (istioctl/pkg/workload/workload.go, IstiodAddr).
func discoveryAddress(namespace, revision string) string {
	service := "istiod"
	if revision != facts.DefaultRevision {
		service += "-" + revision
	}
	return fmt.Sprintf("%s.%s.svc:%d", service, namespace, discoveryPort)
}

// clusterID is istiod's name for its cluster; "Kubernetes" is what it calls itself without a configured one.
func clusterID(revision facts.Revision) string {
	if revision.Injector.ClusterName != "" {
		return revision.Injector.ClusterName
	}
	return "Kubernetes"
}

func encodeLabels(group facts.Group) string {
	// A map of strings always encodes, with its keys sorted.
	encoded, _ := json.Marshal(group.MachineLabels())
	return string(encoded)
}

// podPorts encodes ports as istiod reads them (pilot/pkg/model: PodPort).
func podPorts(ports map[string]uint32) string {
	type podPort struct {
		Name          string `json:"name"`
		ContainerPort int    `json:"containerPort"`
		Protocol      string `json:"protocol"`
	}
	var list []podPort
	for _, name := range slices.Sorted(maps.Keys(ports)) {
		list = append(list, podPort{Name: name, ContainerPort: int(ports[name])})
	}
	if list == nil {
		return ""
	}
	encoded, _ := json.Marshal(list)
	return string(encoded)
}

// encodeMesh writes mesh.yaml with sorted keys: the order of map fields is fixed by the encoder.
func encodeMesh(config *mesh.ProxyConfig) ([]byte, error) {
	encoded, err := config.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var tree map[string]any
	if err := json.Unmarshal(encoded, &tree); err != nil {
		return nil, err
	}
	return yaml.Marshal(map[string]any{"defaultConfig": tree})
}
