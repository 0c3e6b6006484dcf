package cluster

import (
	"net/netip"
	"path/filepath"
)

// Fixed facts of the lab's cluster. All are inside the sandbox and can collide with nothing.
const (
	// NodeName is the one node.
	NodeName = "hawser-lab"
	// PodRange and ServiceRange are what their names say; DNSAddress is CoreDNS's Service.
	PodRange     = "10.88.0.0/16"
	ServiceRange = "10.96.0.0/16"
	DNSAddress   = "10.96.0.10"
	// Domain is the DNS suffix of Services.
	Domain = "cluster.local"
	// cniPlugins is where Debian's containernetworking-plugins puts its programs.
	cniPlugins = "/usr/lib/cni"
	// runtimeDir is in the sandbox's own /run: gone after a restart, as on a real node.
	runtimeDir = "/run/containerd"
	apiPort    = "6443"
	etcdURL    = "http://127.0.0.1:2379"
)

// Config says what a cluster is made from.
type Config struct {
	// StateDir keeps certificates, etcd's data, images and volumes.
	StateDir string
	// NodeAddress is reachable from the host, from pods and, for kube-proxy's purposes, is the node's only address.
	NodeAddress netip.Addr
	// Kube is the multi-call binary of the Kubernetes programs.
	Kube string
	// Registry is the host:port that images are pulled from, over plain HTTP.
	Registry string
	// PauseImage and CoreDNSImage are references in that registry.
	PauseImage   string
	CoreDNSImage string
	// UpstreamDNS answers what is not of the cluster.
	UpstreamDNS netip.Addr
}

// Server is the URL of the API server.
func (c Config) Server() string { return "https://" + c.NodeAddress.String() + ":" + apiPort }

// AdminKubeconfig is the path of the kubeconfig for the host's user.
func (c Config) AdminKubeconfig() string { return filepath.Join(c.StateDir, "kubeconfig") }

func (c Config) path(elements ...string) string {
	return filepath.Join(append([]string{c.StateDir}, elements...)...)
}

func (c Config) pki(name string) string { return c.path("pki", name) }

// containerdSocket is where containerd serves the CRI.
func containerdSocket() string { return filepath.Join(runtimeDir, "containerd.sock") }
