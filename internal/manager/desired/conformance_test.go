package desired_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/desired"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/manager/managertest"
)

// deliberate are the keys in which we differ from `istioctl x workload entry configure`, and why. A key that does not differ (any more)
// in any case fails the test too.
var deliberate = []struct{ file, key, why string }{
	{"mesh.yaml", "readinessProbe", "health has one writer: the agent probes, the manager writes the WorkloadEntry's condition"},
	{"mesh.yaml", "discoveryAddress", "always written for the revision's istiod, where istioctl relies on the proxy's built-in default"},
	{"mesh.yaml", "proxyMetadata.ISTIO_META_WORKLOAD_ENTRY", "the manager makes the machine's WorkloadEntry, and the proxy names it instead of registering itself"},
	{"mesh.yaml", "proxyMetadata.ISTIO_METAJSON_LABELS", "carries hawser.io/group, so that policies select machines and no pods"},
	{"cluster.env", "ISTIO_META_WORKLOAD_ENTRY", "as in mesh.yaml"},
	{"cluster.env", "ISTIO_METAJSON_LABELS", "as in mesh.yaml"},
	{"cluster.env", "POD_NAME", "the machine's name is its hostname; upstream's start script asks the host for it"},
	{"cluster.env", "ISTIO_SVC_IP", "depends on the host, so it is the agent's part"},
}

// TestConformance compares with the golden files of istioctl in Istio's own module, key by key.
func TestConformance(t *testing.T) {
	goldens := filepath.Join(managertest.IstioModule(t), "istioctl/pkg/workload/testdata")
	differing := map[string]bool{}
	for _, c := range []struct{ folder, revision, gateway string }{
		{"vmconfig/ipv4", "rev-1", "10.10.10.11"},
		{"vmconfig/ipv6", "rev-1", "fd00:10:96::2"},
		{"vmconfig-nil-proxy-metadata", facts.DefaultRevision, ""},
	} {
		t.Run(filepath.Base(c.folder), func(t *testing.T) {
			folder := filepath.Join(goldens, c.folder)
			state := conformanceState(t, folder, c.revision, c.gateway)
			compare(t, differing, "mesh.yaml", flatten(t, read(t, folder, "mesh.yaml.golden")), flatten(t, string(state.Mesh.MeshYaml)))
			compare(t, differing, "cluster.env", shellVariables(t, read(t, folder, "cluster.env.golden")), variables(state))
			if want, got := read(t, folder, "root-cert.pem.golden"), string(state.Mesh.RootCertificates); want != got {
				t.Errorf("root-cert.pem: want %q, got %q", want, got)
			}
			if want, got := read(t, folder, "hosts.golden"), hostsFile(state); want != got && c.gateway != "" {
				t.Errorf("hosts: want %q, got %q", want, got)
			}
		})
	}
	for _, d := range deliberate {
		if !differing[d.file+" "+d.key] {
			t.Errorf("%s: %s does not differ in any case: take it off the list", d.file, d.key)
		}
	}
}

// conformanceState computes the state for upstream's input. Upstream's test gives the gateway's address by a flag.
func conformanceState(t *testing.T, folder, revision, gateway string) *hawserv1.DesiredState {
	t.Helper()
	suffix := ""
	if revision != facts.DefaultRevision {
		suffix = "-" + revision
	}
	meshConfig := ""
	if text, err := os.ReadFile(filepath.Join(folder, "meshconfig.yaml")); err == nil {
		meshConfig = string(text)
	}
	if gateway == "" {
		gateway = "192.0.2.1"
	}
	group := strings.Replace(read(t, folder, "workloadgroup.yaml"), "kind: WorkloadGroup", "apiVersion: networking.istio.io/v1\nkind: WorkloadGroup", 1)
	group = strings.Replace(group, "metadata:\n", fmt.Sprintf("metadata:\n  labels: {istio.io/rev: %s}\n", revision), 1)
	w := &world{objects: managertest.Objects(t, strings.Join([]string{
		configMap("istio-system", "istio"+suffix, "mesh", meshConfig),
		configMap("istio-system", "istio-sidecar-injector"+suffix, "values", `{"global": {"hub": "docker.io/istio", "tag": "1.31.4"}}`),
		configMap("bar", "istio-ca-root-cert", "root-cert.pem", "fake-CA-cert"),
		fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {namespace: istio-system, name: gw, labels: {istio: eastwestgateway}}\n"+
			"spec: {ports: [{port: 15012}]}\nstatus: {loadBalancer: {ingress: [{ip: %q}]}}", gateway),
		"apiVersion: hawser.io/v1alpha1\nkind: Machine\nmetadata: {namespace: bar, name: foo-1}\nspec: {group: foo}",
		group,
	}, "\n---\n"))}
	f := w.facts(t)
	for _, machine := range f.Machines {
		result := desired.Compute(f, machine)
		if result.Problem != nil {
			t.Fatal(result.Problem)
		}
		return result.State
	}
	t.Fatal("no machine")
	return nil
}

func configMap(namespace, name, key, text string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: %s, name: %s}\ndata: {%s: %q}", namespace, name, key, text)
}

func compare(t *testing.T, differing map[string]bool, file string, want, got map[string]string) {
	t.Helper()
	keys := map[string]bool{}
	for _, m := range []map[string]string{want, got} {
		for key := range m {
			keys[key] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		wanted, inWant := want[key]
		have, inGot := got[key]
		if wanted == have && inWant == inGot {
			continue
		}
		differing[file+" "+deliberateKey(file, key)] = true
		if deliberateKey(file, key) == "" {
			t.Errorf("%s: %s: istioctl has %q (%t), we have %q (%t)", file, key, wanted, inWant, have, inGot)
		}
	}
}

// deliberateKey is the key of the list that a key is, or lies below.
func deliberateKey(file, key string) string {
	for _, d := range deliberate {
		if d.file == file && (key == d.key || strings.HasPrefix(key, d.key+".")) {
			return d.key
		}
	}
	return ""
}

// flatten gives the leaves of defaultConfig by dotted path.
func flatten(t *testing.T, text string) map[string]string {
	t.Helper()
	var tree map[string]any
	if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
		t.Fatal(err)
	}
	if len(tree) != 1 {
		t.Errorf("mesh.yaml has more than defaultConfig: %v", slices.Collect(maps.Keys(tree)))
	}
	leaves := map[string]string{}
	var walk func(path string, node any)
	walk = func(path string, node any) {
		if branch, ok := node.(map[string]any); ok {
			for key, child := range branch {
				walk(strings.TrimPrefix(path+"."+key, "."), child)
			}
			return
		}
		leaves[path] = fmt.Sprint(node)
	}
	walk("", tree["defaultConfig"])
	return leaves
}

// shellVariables reads NAME='value' lines, as a shell does.
func shellVariables(t *testing.T, text string) map[string]string {
	t.Helper()
	line := regexp.MustCompile(`^([A-Z_]+)=(?:'([^']*)'|([^' ]*))$`)
	values := map[string]string{}
	for text := range strings.Lines(text) {
		found := line.FindStringSubmatch(strings.TrimSuffix(text, "\n"))
		if found == nil {
			t.Fatalf("cluster.env: cannot read %q", text)
		}
		values[found[1]] = found[2] + found[3]
	}
	return values
}

func variables(state *hawserv1.DesiredState) map[string]string {
	values := map[string]string{}
	for _, variable := range state.Mesh.Environment {
		values[variable.Name] = variable.Value
	}
	return values
}

func hostsFile(state *hawserv1.DesiredState) string {
	var text strings.Builder
	for _, alias := range state.Mesh.HostAliases {
		fmt.Fprintf(&text, "%s %s\n", alias.Address, strings.Join(alias.Hostnames, " "))
	}
	return text.String()
}

func read(t *testing.T, folder, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
