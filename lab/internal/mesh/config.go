package mesh

// Names that the lab's mesh has; a machine's network is any other than ClusterNetwork.
const (
	Namespace      = "istio-system"
	GatewayName    = "eastwestgateway"
	ClusterNetwork = "cluster-net"
	MachineNetwork = "vm-net"
	MeshID         = "lab"
	ClusterID      = "Kubernetes"
)

// Config says which Istio is installed.
type Config struct {
	// Module is the source of istio.io/istio, which holds the charts.
	Module string
	// Hub and Tag name the images: HUB/pilot:TAG and HUB/proxyv2:TAG.
	Hub string
	Tag string
	// Revision is the control plane's; the first one has none.
	Revision string
	// Tags are the revision tags that stand for it.
	Tags []string
}

// Istiod is the name of a revision's Deployment, Service and Helm release (manifests/charts/istio-control/istio-discovery).
func Istiod(revision string) string {
	if revision == "" {
		return "istiod"
	}
	return "istiod-" + revision
}

// values is what a chart is set with.
type values = map[string]any

// istiodValues sets Istio up for a plain Envoy, which has no filters of Istio's own: telemetry, metadata exchange and the
// ALPN filter would have every listener rejected.
func (c Config) istiodValues() values {
	// Helm checks values by a schema, and knows lists of this kind alone.
	tags := []any{}
	for _, tag := range c.Tags {
		tags = append(tags, tag)
	}
	return values{
		"revision":         c.Revision,
		"revisionTags":     tags,
		"autoscaleEnabled": false,
		"telemetry":        values{"enabled": false},
		"env": values{
			"PILOT_ENABLE_METADATA_EXCHANGE": "false",
			"PILOT_ENABLE_ALPN_FILTER":       "false",
			// Without it there is no way to another root but an end of all trust in between.
			"ISTIO_MULTIROOT_MESH": "true",
		},
		"resources": values{"requests": values{"cpu": "50m", "memory": "128Mi"}},
		"meshConfig": values{
			"outboundTrafficPolicy": values{"mode": "ALLOW_ANY"},
			"accessLogFile":         "",
			"defaultConfig": values{
				"meshId": MeshID,
				// Proxies hear of roots by their stream, and need no restart.
				"proxyMetadata": values{"PROXY_CONFIG_XDS_AGENT": "true"},
			},
		},
		"global": values{
			"hub":          c.Hub,
			"tag":          c.Tag,
			"meshID":       MeshID,
			"network":      ClusterNetwork,
			"multiCluster": values{"clusterName": ClusterID},
			"proxy":        values{"resources": smallProxy()},
		},
	}
}

// gatewayValues makes the chart's gateway an east-west one: the chart then opens 15021, 15443, 15012 and 15017.
func (c Config) gatewayValues() values {
	return values{
		"networkGateway": ClusterNetwork,
		"labels":         values{"istio": GatewayName, "app": GatewayName},
		"autoscaling":    values{"enabled": false},
		"resources":      smallProxy(),
	}
}

// smallProxy lets many proxies share a small machine; nothing limits what they may use.
func smallProxy() values {
	return values{"requests": values{"cpu": "10m", "memory": "64Mi"}}
}
