package setup

import (
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/hawser-io/hawser/lab/internal/build"
	"github.com/hawser-io/hawser/lab/internal/golden"
	"github.com/hawser-io/hawser/lab/internal/image"
)

func TestImages(t *testing.T) {
	istio := build.Istio{
		Version: build.IstioVersion{Tag: "1.31.1", Envoy: "1.39.3"},
		Istiod:  "/cache/pilot-discovery", Agent: "/cache/pilot-agent", Envoy: "/cache/envoy", Module: "/module", ProxyRoot: "/cache/root",
	}
	for name, spec := range map[string]image.Spec{"pilot-image.yaml": pilotImage(istio), "proxy-image.yaml": proxyImage(istio)} {
		got, err := yaml.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		golden.Check(t, name, string(got))
	}
}

func TestImagesChangeTheirTagWithTheirContent(t *testing.T) {
	s := Setup{DemoApp: "/cache/hawser-demo-app-0123456789abcdef/hawser-demo-app"}
	if got := s.DemoImage().Reference("192.0.2.2:5000"); got != "192.0.2.2:5000/demo/app:hawser-demo-app-0123456789abcdef" {
		t.Errorf("reference is %s", got)
	}
}
