package mesh

import (
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/hawser-io/hawser/lab/internal/golden"
)

// inYAML checks a value in the form that the charts read.
func inYAML(t *testing.T, name string, value any) {
	t.Helper()
	got, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, name, string(got))
}

func TestValues(t *testing.T) {
	config := Config{Hub: "192.0.2.2:5000/istio", Tag: "1.31.1"}
	inYAML(t, "istiod.yaml", config.istiodValues())
	inYAML(t, "gateway.yaml", config.gatewayValues())
	config.Revision, config.Tags = "canary", []string{"next", "tried"}
	inYAML(t, "canary.yaml", config.istiodValues())
}
