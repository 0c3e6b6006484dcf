package cluster

import (
	_ "embed"
	"fmt"
	"strings"
	"text/template"
)

// The files of the node, as templates over templateData.
var (
	//go:embed files/containerd.toml
	containerdTOML string
	//go:embed files/hosts.toml
	hostsTOML string
	//go:embed files/pods.conflist
	podsConflist string
	//go:embed files/kubelet.yaml
	kubeletYAML string
	//go:embed files/kube-proxy.yaml
	kubeProxyYAML string
	//go:embed files/coredns.yaml
	coreDNSYAML string
)

// templateData is what the templates may name.
type templateData struct {
	Config
	RuntimeDir, Socket, CNIPlugins, NodeDir                 string
	NodeName, PodRange, DNSAddress, Domain                  string
	KubeletCA, KubeletCert, KubeletKey, KubeProxyKubeconfig string
}

// nodeFiles returns the node's files by their names below the directory "node" of the state.
func (c Config) nodeFiles() (map[string]string, error) {
	// containerd looks for a registry's settings below its name with the port written so.
	registryDir := "certs.d/" + strings.ReplaceAll(c.Registry, ":", "_") + "_"
	files := map[string]string{"resolv.conf": "nameserver " + c.UpstreamDNS.String() + "\n"}
	for name, text := range map[string]string{
		"containerd.toml":           containerdTOML,
		registryDir + "/hosts.toml": hostsTOML,
		"net.d/10-pods.conflist":    podsConflist,
		"kubelet.yaml":              kubeletYAML,
		"kube-proxy.yaml":           kubeProxyYAML,
	} {
		var err error
		if files[name], err = c.render(text); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// render fills a template of this package.
func (c Config) render(text string) (string, error) {
	parsed, err := template.New("").Parse(text)
	if err != nil {
		return "", fmt.Errorf("parse a template of the cluster: %w", err)
	}
	var out strings.Builder
	if err := parsed.Execute(&out, c.templateData()); err != nil {
		return "", fmt.Errorf("fill a template of the cluster: %w", err)
	}
	return out.String(), nil
}

func (c Config) templateData() templateData {
	return templateData{
		Config:     c,
		RuntimeDir: runtimeDir, Socket: containerdSocket(), CNIPlugins: cniPlugins, NodeDir: c.path("node"),
		NodeName: NodeName, PodRange: PodRange, DNSAddress: DNSAddress, Domain: Domain,
		KubeletCA: c.pki("ca.crt"), KubeletCert: c.pki("kubelet.crt"), KubeletKey: c.pki("kubelet.key"),
		KubeProxyKubeconfig: c.kubeconfig("kube-proxy"),
	}
}
