package setup

import (
	"path/filepath"

	"github.com/hawser-io/hawser/lab/internal/build"
	"github.com/hawser-io/hawser/lab/internal/image"
)

// proxyUser is the user and group that Istio's images run as; interception tells the proxy's own traffic by it.
const proxyUser = "1337:1337"

// IstioImages are those of one version of Istio.
func IstioImages(istio build.Istio) []Image {
	return []Image{
		{"istio/pilot", istio.Version.Tag, pilotImage(istio)},
		{"istio/proxyv2", istio.Version.Tag, proxyImage(istio)},
	}
}

// pilotImage is istiod's image: one static binary.
func pilotImage(istio build.Istio) image.Spec {
	const target = "/usr/local/bin/pilot-discovery"
	return image.Spec{
		Files:      []image.File{{Source: istio.Istiod, Target: target, Mode: 0o755}},
		User:       proxyUser,
		Entrypoint: []string{target},
	}
}

// proxyImage is the image of sidecars and gateways, laid out as Istio's own Dockerfile.proxyv2 has it.
func proxyImage(istio build.Istio) image.Spec {
	const agent = "/usr/local/bin/pilot-agent"
	bootstrap := filepath.Join(istio.Module, "tools", "packaging", "common", "envoy_bootstrap.json")
	return image.Spec{
		Root: istio.ProxyRoot,
		Files: []image.File{
			{Source: istio.Agent, Target: agent, Mode: 0o755},
			{Source: istio.Envoy, Target: "/usr/local/bin/envoy", Mode: 0o755},
			{Source: bootstrap, Target: "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json", Mode: 0o644},
		},
		User:       proxyUser,
		Entrypoint: []string{agent},
		Env:        []string{"ISTIO_META_ISTIO_PROXY_SHA=envoy-" + istio.Version.Envoy},
	}
}
