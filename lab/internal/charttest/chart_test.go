package charttest

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"sigs.k8s.io/yaml"

	"github.com/hawser-io/hawser/lab/internal/golden"
)

// folder of the chart, relative to this package.
const folder = "../../../deploy/helm/hawser"

func load(t *testing.T) *chart.Chart {
	t.Helper()
	c, err := loader.Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// render returns the chart's files by path below templates, for a first installation into hawser-system.
func render(t *testing.T, values string) map[string]string {
	t.Helper()
	files, err := tryRender(t, values)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func tryRender(t *testing.T, values string) (map[string]string, error) {
	t.Helper()
	c := load(t)
	var given map[string]any
	if err := yaml.Unmarshal([]byte(values), &given); err != nil {
		t.Fatal(err)
	}
	release := common.ReleaseOptions{Name: "hawser", Namespace: "hawser-system", Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(c, given, release, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	rendered, err := engine.Render(c, all)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for name, text := range rendered {
		if strings.TrimSpace(text) != "" {
			files[strings.TrimPrefix(name, "hawser/templates/")] = text
		}
	}
	return files, nil
}

func TestRender(t *testing.T) {
	cases := map[string]string{
		"default": "",
		"every-option": `
replicas: 3
image: {repository: "registry.example:5000/hawser/hawser-manager", tag: 1.2.3, pullSecrets: [{name: pull}]}
gateway: {selector: {istio: expansion}, namespace: edge, port: 15112}
istio: {namespace: istio-control}
clusterDomain: example.internal
rbac: {aggregate: false}
log: {level: debug}
registry: {plainHTTP: true}
networkPolicy: {metricsFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]}
podDisruptionBudget: {maxUnavailable: 50%}
metrics: {podMonitor: {enabled: true, labels: {release: prometheus}}}
podAnnotations: {example.com/a: b}
podLabels: {example.com/c: d}
nodeSelector: {kubernetes.io/os: linux}
tolerations: [{operator: Exists}]
affinity: {nodeAffinity: {}}
priorityClassName: system-cluster-critical
`,
		"least": `
crds: {enabled: false}
gateway: {enabled: false}
networkPolicy: {enabled: false}
podDisruptionBudget: {enabled: false}
`,
	}
	for name, values := range cases {
		t.Run(name, func(t *testing.T) {
			files := render(t, values)
			crds, rendered := files["crds.yaml"]
			if want := name != "least"; rendered != want {
				t.Errorf("CRDs rendered: %v, want %v", rendered, want)
			}
			if rendered && strings.Count(crds, "helm.sh/resource-policy: keep") != 3 {
				t.Errorf("uninstalling the chart would remove CRDs, and with them all machines:\n%s", crds)
			}
			// They are generated and long: what the template adds to them is asserted above.
			delete(files, "crds.yaml")
			golden.Check(t, name+".yaml", string(join(files)))
		})
	}
}

func join(files map[string]string) []byte {
	var out bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(files)) {
		out.WriteString("### " + name + "\n" + strings.TrimSpace(files[name]) + "\n\n")
	}
	return out.Bytes()
}
