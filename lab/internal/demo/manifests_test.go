package demo

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	istio "istio.io/api/networking/v1alpha3"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/hawser-io/hawser/lab/internal/golden"
)

const image = "registry.example:5000/hawser-demo-app:1"

// objects are the manifests, decoded by kind; a field that the kind does not have fails the test.
type objects struct {
	services    []core.Service
	deployments []apps.Deployment
	groups      []*networking.WorkloadGroup
	accounts    map[string]bool
	namespaces  map[string]bool
}

func decode(t *testing.T) objects {
	t.Helper()
	raw, err := Manifests(image)
	if err != nil {
		t.Fatal(err)
	}
	all := objects{accounts: map[string]bool{}, namespaces: map[string]bool{}}
	for document := range strings.SplitSeq(string(raw), "---\n") {
		var kind meta.TypeMeta
		strict(t, document, &kind, yaml.Unmarshal)
		var account core.ServiceAccount
		var namespace core.Namespace
		switch kind.Kind {
		case "Service":
			all.services = append(all.services, core.Service{})
			strict(t, document, &all.services[len(all.services)-1], yaml.UnmarshalStrict)
		case "Deployment":
			all.deployments = append(all.deployments, apps.Deployment{})
			strict(t, document, &all.deployments[len(all.deployments)-1], yaml.UnmarshalStrict)
		case "WorkloadGroup":
			all.groups = append(all.groups, &networking.WorkloadGroup{})
			strict(t, document, all.groups[len(all.groups)-1], yaml.UnmarshalStrict)
			strictSpec(t, document, &istio.WorkloadGroup{})
		case "ServiceAccount":
			strict(t, document, &account, yaml.UnmarshalStrict)
			all.accounts[account.Namespace+"/"+account.Name] = true
		case "Namespace":
			strict(t, document, &namespace, yaml.UnmarshalStrict)
			all.namespaces[namespace.Name] = namespace.Labels["istio-injection"] == "enabled"
		default:
			t.Errorf("unexpected kind %q in:\n%s", kind.Kind, document)
		}
	}
	return all
}

// strictSpec finds unknown fields of Istio's types, whose own decoding ignores them.
func strictSpec(t *testing.T, document string, into proto.Message) {
	t.Helper()
	var object struct {
		Spec map[string]any `json:"spec"`
	}
	strict(t, document, &object, yaml.Unmarshal)
	spec, err := json.Marshal(object.Spec)
	if err == nil {
		err = protojson.Unmarshal(spec, into)
	}
	if err != nil {
		t.Fatalf("%v in:\n%s", err, document)
	}
}

func strict(t *testing.T, document string, into any, unmarshal func([]byte, any, ...yaml.JSONOpt) error) {
	t.Helper()
	if err := unmarshal([]byte(document), into); err != nil {
		t.Fatalf("%v in:\n%s", err, document)
	}
}

func TestManifestsFitTogether(t *testing.T) {
	all := decode(t)
	for _, namespace := range Namespaces() {
		if !all.namespaces[namespace] {
			t.Errorf("namespace %s is missing, or without injection", namespace)
		}
	}
	// ports are what each app listens at, by namespace, app and port name.
	ports := map[string]bool{}
	for _, d := range all.deployments {
		pod := d.Spec.Template
		if !all.accounts[d.Namespace+"/"+pod.Spec.ServiceAccountName] {
			t.Errorf("%s has no service account", d.Name)
		}
		if got := pod.Spec.Containers[0].Image; got != image {
			t.Errorf("%s has the image %s", d.Name, got)
		}
		ports[d.Namespace+"/"+pod.Labels["app"]+"/"+pod.Spec.Containers[0].Ports[0].Name] = true
	}
	for _, g := range all.groups {
		template := g.Spec.GetTemplate()
		if !all.accounts[g.Namespace+"/"+template.GetServiceAccount()] {
			t.Errorf("group %s has no service account", g.Name)
		}
		if template.GetNetwork() != "vm-net" || g.Spec.GetProbe() == nil {
			t.Errorf("group %s has network %q and probe %v", g.Name, template.GetNetwork(), g.Spec.GetProbe())
		}
		for name := range template.GetPorts() {
			ports[g.Namespace+"/"+template.GetLabels()["app"]+"/"+name] = true
		}
	}
	for _, s := range all.services {
		if !ports[s.Namespace+"/"+s.Spec.Selector["app"]+"/"+s.Spec.Ports[0].Name] {
			t.Errorf("service %s selects nothing that has its port", s.Name)
		}
	}
	if len(all.services) != 5 || len(all.deployments) != 4 || len(all.groups) != 2 {
		t.Errorf("%d services, %d deployments, %d groups, want 5, 4, 2", len(all.services), len(all.deployments), len(all.groups))
	}
}

func TestHostsHaveGroups(t *testing.T) {
	groups := map[string]bool{}
	for _, g := range decode(t).groups {
		groups[g.Name] = true
	}
	for _, host := range Hosts() {
		if !groups[host.Service.Name] {
			t.Errorf("machine %s belongs to no group", host.Name)
		}
	}
}

func TestUnits(t *testing.T) {
	for _, host := range Hosts() {
		golden.Check(t, host.Service.Unit(), host.Service.unitText())
	}
}
