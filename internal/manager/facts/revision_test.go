package facts_test

import (
	"strings"
	"testing"

	mesh "istio.io/api/mesh/v1alpha1"
	networking "istio.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hawser-io/hawser/internal/manager/facts"
)

// group shop/ratings, with labels on the object, and labels and annotations of its machines.
func group(labels, machineLabels, machineAnnotations map[string]string) facts.Group {
	return facts.Group{
		NamespacedName: types.NamespacedName{Namespace: "shop", Name: "ratings"},
		Labels:         labels,
		Spec: &networking.WorkloadGroup{
			Metadata: &networking.WorkloadGroup_ObjectMeta{Labels: machineLabels, Annotations: machineAnnotations},
			Template: &networking.WorkloadEntry{},
		},
	}
}

type words = map[string]string

func TestRevisionOf(t *testing.T) {
	broken := &facts.Problem{Reason: facts.ReasonRevisionInvalid, Message: "ConfigMap istio-broken is no YAML", Next: "repair it"}
	f := func(namespace words, tags words) facts.Facts {
		return facts.Facts{
			IstioNamespace: "istio-system",
			Namespaces:     map[string]facts.Namespace{"shop": {Name: "shop", Labels: namespace}},
			Tags:           tags,
			Revisions: map[string]facts.Revision{
				"default": {Name: "default"}, "1-31": {Name: "1-31"}, "1-32": {Name: "1-32"}, "broken": {Name: "broken", Problem: broken},
			},
		}
	}
	for name, c := range map[string]struct {
		facts facts.Facts
		group facts.Group
		want  string
	}{
		"nothing-said":               {f(nil, nil), group(nil, nil, nil), "default"},
		"namespace":                  {f(words{"istio.io/rev": "1-31"}, nil), group(nil, nil, nil), "1-31"},
		"injection":                  {f(words{"istio-injection": "enabled"}, nil), group(nil, nil, nil), "default"},
		"injection-by-a-tag":         {f(words{"istio-injection": "enabled"}, words{"default": "1-32"}), group(nil, nil, nil), "1-32"},
		"injection-and-the-same":     {f(words{"istio-injection": "enabled", "istio.io/rev": "1-32"}, words{"default": "1-32"}), group(nil, nil, nil), "1-32"},
		"injection-off":              {f(words{"istio-injection": "disabled"}, nil), group(words{"istio.io/rev": "1-32"}, nil, nil), "1-32"},
		"injection-and-rev":          {f(words{"istio.io/rev": "1-31", "istio-injection": "enabled"}, nil), group(nil, nil, nil), `RevisionConflict: two labels say which Istio revision the machines of WorkloadGroup shop/ratings follow: label istio-injection=enabled of namespace shop, which stands for revision "default", and label istio.io/rev=1-31 of namespace shop, which stands for revision "1-31"; remove one of them, or have both name the same revision`},
		"group":                      {f(nil, nil), group(words{"istio.io/rev": "1-31"}, nil, nil), "1-31"},
		"machines":                   {f(nil, nil), group(nil, words{"istio.io/rev": "1-32"}, nil), "1-32"},
		"group-as-the-namespace":     {f(words{"istio.io/rev": "prod"}, words{"prod": "1-32"}), group(words{"istio.io/rev": "1-32"}, words{"istio.io/rev": "prod"}, nil), "1-32"},
		"namespace-and-machines":     {f(words{"istio.io/rev": "1-31"}, nil), group(nil, words{"istio.io/rev": "1-32"}, nil), `RevisionConflict: two labels say which Istio revision the machines of WorkloadGroup shop/ratings follow: label istio.io/rev=1-31 of namespace shop, which stands for revision "1-31", and label istio.io/rev=1-32 of spec.metadata of WorkloadGroup shop/ratings,`},
		"injection-and-group":        {f(words{"istio-injection": "enabled"}, nil), group(words{"istio.io/rev": "1-32"}, nil, nil), `RevisionConflict: two labels`},
		"group-and-machines":         {f(nil, nil), group(words{"istio.io/rev": "1-31"}, words{"istio.io/rev": "1-32"}, nil), `RevisionConflict: two labels`},
		"tag":                        {f(words{"istio.io/rev": "prod"}, words{"prod": "1-32"}), group(nil, nil, nil), "1-32"},
		"tag-default":                {f(nil, words{"default": "1-32"}), group(nil, nil, nil), "1-32"},
		"unknown":                    {f(words{"istio.io/rev": "1-99"}, nil), group(nil, nil, nil), `RevisionUnknown: WorkloadGroup shop/ratings follows Istio revision "1-99", and namespace istio-system has no such control plane (known revisions: 1-31, 1-32, broken, default); set the label istio.io/rev of the WorkloadGroup or its namespace to one of them, or install that revision`},
		"tag-of-an-unknown":          {f(words{"istio.io/rev": "prod"}, words{"prod": "1-99"}), group(nil, nil, nil), `RevisionUnknown: WorkloadGroup shop/ratings follows Istio tag "prod", which stands for revision "1-99"`},
		"revision-that-is-in-pieces": {f(words{"istio.io/rev": "broken"}, nil), group(nil, nil, nil), "RevisionInvalid: ConfigMap istio-broken is no YAML; repair it"},
		"no-istio":                   {facts.Facts{IstioNamespace: "istio-system"}, group(nil, nil, nil), "RevisionUnknown: WorkloadGroup shop/ratings follows Istio revision \"default\", and namespace istio-system has no such control plane (known revisions: none)"},
	} {
		t.Run(name, func(t *testing.T) {
			revision, problem := c.facts.RevisionOf(c.group)
			got := revision.Name
			if problem != nil {
				got = problem.Reason + ": " + problem.Error()
			}
			if got != c.want && (problem == nil || !strings.HasPrefix(got, c.want)) {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestProxyImage(t *testing.T) {
	plain := facts.Injector{Hub: "docker.io/istio", Tag: "1.31.0"}
	variant := facts.Injector{Hub: "docker.io/istio", Image: "proxyv2", Tag: "1.31.0-debug", Variant: "distroless"}
	for name, c := range map[string]struct {
		injector    facts.Injector
		typeOfMesh  string
		annotations words
		want        string
	}{
		"default-name":        {plain, "", nil, "docker.io/istio/proxyv2:1.31.0"},
		"type-of-the-mesh":    {plain, "distroless", nil, "docker.io/istio/proxyv2:1.31.0-distroless"},
		"variant-of-the-tag":  {variant, "", nil, "docker.io/istio/proxyv2:1.31.0-distroless"},
		"mesh-over-variant":   {variant, "debug", nil, "docker.io/istio/proxyv2:1.31.0-debug"},
		"default-has-none":    {variant, "default", nil, "docker.io/istio/proxyv2:1.31.0"},
		"type-by-annotation":  {variant, "debug", words{"sidecar.istio.io/proxyImageType": "default"}, "docker.io/istio/proxyv2:1.31.0"},
		"image-by-annotation": {variant, "debug", words{"sidecar.istio.io/proxyImage": "r.example/p@sha256:0"}, "r.example/p@sha256:0"},
	} {
		t.Run(name, func(t *testing.T) {
			r := facts.Revision{Name: "default", Injector: c.injector}
			if got := r.ProxyImage(group(nil, nil, c.annotations), c.typeOfMesh); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestProxyConfig(t *testing.T) {
	base := &mesh.ProxyConfig{DrainDuration: nil, StatusPort: 15020, ConfigPath: "./etc", ProxyMetadata: words{"A": "mesh", "B": "mesh"}}
	r := facts.Revision{Mesh: &mesh.MeshConfig{DefaultConfig: base}}
	annotated := func(object, machines string) facts.Group {
		g := group(nil, nil, words{"proxy.istio.io/config": machines})
		g.Annotations = words{"proxy.istio.io/config": object}
		return g
	}
	config, problem := r.ProxyConfig(annotated("{statusPort: 1, proxyMetadata: {B: group}}", "{statusPort: 2, proxyMetadata: {C: machines}, unheardOf: 1}"))
	if problem != nil {
		t.Fatal(problem)
	}
	if m := config.ProxyMetadata; config.StatusPort != 2 || config.ConfigPath != "./etc" || len(m) != 3 || m["A"] != "mesh" || m["B"] != "group" || m["C"] != "machines" {
		t.Errorf("got %v", config)
	}
	if base.StatusPort != 15020 || len(base.ProxyMetadata) != 2 {
		t.Errorf("the mesh's own configuration was changed to %v", base)
	}
	for _, empty := range []string{"", "  \n", "{}", "# later"} {
		if config, problem := r.ProxyConfig(annotated(empty, empty)); problem != nil || config.StatusPort != 15020 {
			t.Errorf("annotation %q: %v, %v", empty, config, problem)
		}
	}
	if config, problem := (facts.Revision{}).ProxyConfig(group(nil, nil, nil)); problem != nil || config.ProxyMetadata == nil {
		t.Errorf("without a mesh configuration: %v, %v", config, problem)
	}
	for text, where := range map[string]facts.Group{
		"metadata.annotations":      annotated("a: [", "{}"),
		"spec.metadata.annotations": annotated("{}", "statusPort: many"),
	} {
		if _, problem := r.ProxyConfig(where); problem == nil || problem.Reason != facts.ReasonProxyConfigInvalid ||
			!strings.HasPrefix(problem.Message, "WorkloadGroup shop/ratings: annotation proxy.istio.io/config in "+text+" is no proxy configuration") || problem.Next == "" {
			t.Errorf("%s: %v", text, problem)
		}
	}
}
