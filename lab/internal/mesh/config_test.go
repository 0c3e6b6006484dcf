package mesh

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/hawser-io/hawser/lab/internal/build"
)

var update = flag.Bool("update", false, "write the golden files again")

func golden(t *testing.T, name string, value any) {
	t.Helper()
	got, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs (go test -update writes it again):\n%s", path, got)
	}
}

func TestValues(t *testing.T) {
	config := Config{Hub: "192.0.2.2:5000/istio", Tag: "1.31.1"}
	golden(t, "istiod.yaml", config.istiodValues())
	golden(t, "gateway.yaml", config.gatewayValues())
}

func TestImages(t *testing.T) {
	istio := build.Istio{
		Version: build.IstioVersion{Tag: "1.31.1", Envoy: "1.39.3"},
		Istiod:  "/cache/pilot-discovery", Agent: "/cache/pilot-agent", Envoy: "/cache/envoy", Module: "/module", ProxyRoot: "/cache/root",
	}
	golden(t, "pilot-image.yaml", PilotImage(istio))
	golden(t, "proxy-image.yaml", ProxyImage(istio))
}
