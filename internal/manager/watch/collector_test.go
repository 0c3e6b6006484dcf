package watch

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hawser-io/hawser/internal/manager/facts"
)

// object reads one object of the kinds that are watched.
func object(t *testing.T, text string) client.Object {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	var head runtime.TypeMeta
	if err := yaml.Unmarshal([]byte(text), &head); err != nil {
		t.Fatal(err)
	}
	o, err := scheme.New(head.GroupVersionKind())
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(text), o); err != nil {
		t.Fatal(err)
	}
	return o.(client.Object)
}

const (
	meshMap      = `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: istio-system, name: istio%s}, data: {%s}}`
	injectorMap  = `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: istio-system, name: istio-sidecar-injector%s}, data: {%s}}`
	goodMesh     = `mesh: "trustDomain: td"`
	goodInjector = `values: '{"global": {"hub": "h", "tag": 1.31}}'`
)

// describe shows the revisions, tags, gateways and roots of a snapshot.
func describe(f facts.Facts) string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(f.Revisions)) {
		r := f.Revisions[name]
		if r.Problem != nil {
			lines = append(lines, fmt.Sprintf("revision %s: %s", name, r.Problem))
			continue
		}
		lines = append(lines, fmt.Sprintf("revision %s: %s, %s:%s", name, r.Mesh.GetTrustDomain(), r.Injector.Hub, r.Injector.Tag))
	}
	for _, name := range slices.Sorted(maps.Keys(f.Tags)) {
		lines = append(lines, fmt.Sprintf("tag %s → %s", name, f.Tags[name]))
	}
	for _, g := range f.Gateways {
		lines = append(lines, fmt.Sprintf("gateway %s port %d %v", g.NamespacedName, g.DiscoveryPort, g.Addresses))
	}
	for _, namespace := range slices.Sorted(maps.Keys(f.RootCertificates)) {
		lines = append(lines, "roots of "+namespace)
	}
	return strings.Join(lines, "\n")
}

func TestControlPlanes(t *testing.T) {
	const next = "; repair the installation of that revision (istioctl analyze, or helm upgrade istiod)"
	for name, c := range map[string]struct {
		objects []string
		want    string
	}{
		"none":         {nil, ""},
		"default":      {[]string{fmt.Sprintf(meshMap, "", goodMesh), fmt.Sprintf(injectorMap, "", goodInjector)}, "revision default: td, h:1.31"},
		"revision":     {[]string{fmt.Sprintf(meshMap, "-1-31", goodMesh), fmt.Sprintf(injectorMap, "-1-31", goodInjector)}, "revision 1-31: td, h:1.31"},
		"empty-mesh":   {[]string{fmt.Sprintf(meshMap, "", `mesh: ""`), fmt.Sprintf(injectorMap, "", goodInjector)}, "revision default: , h:1.31"},
		"no-injector":  {[]string{fmt.Sprintf(meshMap, "-a", goodMesh)}, `revision a: Istio revision "a": ConfigMap istio-sidecar-injector-a is missing, so that the proxy's image is unknown` + next},
		"no-hub":       {[]string{fmt.Sprintf(meshMap, "", goodMesh), fmt.Sprintf(injectorMap, "", `values: "{}"`)}, `revision default: Istio revision "default": ConfigMap istio-sidecar-injector key "values": global.hub and global.tag are not both set` + next},
		"other-maps":   {[]string{fmt.Sprintf(meshMap, "-leader", ""), fmt.Sprintf(meshMap, "-ca-root-cert", "root-cert.pem: r")}, "roots of istio-system"},
		"another-home": {[]string{strings.Replace(fmt.Sprintf(meshMap, "", goodMesh), "istio-system", "shop", 1)}, ""},
		"a-service-wins-over-a-webhook": {[]string{
			`{apiVersion: v1, kind: Service, metadata: {namespace: istio-system, name: s, labels: {istio.io/tag: prod, istio.io/rev: 1-32}}}`,
			`{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: w, labels: {istio.io/tag: prod, istio.io/rev: 1-31}}}`,
		}, "tag prod → 1-32"},
	} {
		t.Run(name, func(t *testing.T) {
			var objects []client.Object
			for _, text := range c.objects {
				objects = append(objects, object(t, text))
			}
			f, err := Collect(Options{}, objects...)
			if err != nil {
				t.Fatal(err)
			}
			if got := describe(f); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// What an object no longer says is no longer a fact, whether the object went or only its content.
func TestFactsGoAsTheyCame(t *testing.T) {
	const gateway = `{apiVersion: v1, kind: Service, metadata: {namespace: gw, name: g, labels: {istio: eastwestgateway}}, spec: {ports: [{port: 15012}], externalIPs: [192.0.2.1]}}`
	const webhook = `{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: w, labels: {istio.io/tag: prod, istio.io/rev: a}}}`
	base := []string{fmt.Sprintf(meshMap, "", goodMesh), fmt.Sprintf(injectorMap, "", goodInjector)}
	for name, c := range map[string]struct {
		text string
		// emptied is the object without what made a fact of it.
		emptied string
		with    string
	}{
		"mesh":    {fmt.Sprintf(meshMap, "-a", goodMesh), fmt.Sprintf(meshMap, "-a", ""), "revision a: Istio"},
		"roots":   {`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: shop, name: istio-ca-root-cert}, data: {root-cert.pem: r}}`, "", "roots of shop"},
		"tag":     {webhook, strings.Replace(webhook, "istio.io/tag: prod, ", "", 1), "tag prod → a"},
		"gateway": {gateway, strings.Replace(gateway, "eastwest", "ingress", 1), "gateway gw/g port 15012 [{ [192.0.2.1]}]"},
	} {
		t.Run(name, func(t *testing.T) {
			c0, err := newCollector(Options{}.withDefaults())
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range base {
				c0.set(object(t, text))
			}
			before := describe(c0.snapshot())
			o := object(t, c.text)
			if !c0.set(o) || !strings.Contains(describe(c0.snapshot()), c.with) {
				t.Errorf("it did not come: %s", describe(c0.snapshot()))
			}
			if c0.set(object(t, c.text)) {
				t.Error("the same again counts as a change")
			}
			if !c0.remove(o) || describe(c0.snapshot()) != before {
				t.Errorf("it did not go: %s", describe(c0.snapshot()))
			}
			if c0.remove(o) {
				t.Error("removing it again counts as a change")
			}
			if c.emptied == "" {
				return
			}
			c0.set(o)
			if !c0.set(object(t, c.emptied)) || describe(c0.snapshot()) != before {
				t.Errorf("its content did not go: %s", describe(c0.snapshot()))
			}
		})
	}
}

// A snapshot that was handed out never changes.
func TestSnapshotsAreImmutable(t *testing.T) {
	c, err := newCollector(Options{}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	namespace := func(name string) *core.Namespace {
		o := &core.Namespace{}
		o.Name = name
		return o
	}
	c.set(namespace("a"))
	first := c.snapshot()
	c.set(namespace("b"))
	c.remove(namespace("a"))
	second := c.snapshot()
	if len(first.Namespaces) != 1 || first.Namespaces["a"].Name != "a" {
		t.Errorf("the first snapshot has %v now", first.Namespaces)
	}
	if len(second.Namespaces) != 1 || second.Namespaces["b"].Name != "b" {
		t.Errorf("the second has %v", second.Namespaces)
	}
}
