package cluster

import (
	"flag"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/lab/internal/sandbox"
)

var update = flag.Bool("update", false, "write the golden files again")

func testConfig() Config {
	return Config{
		StateDir: "/state", NodeAddress: netip.MustParseAddr("192.0.2.2"), Kube: "/cache/hawser-kube", Registry: "192.0.2.2:5000",
		PauseImage: "192.0.2.2:5000/lab/pause:1", CoreDNSImage: "192.0.2.2:5000/lab/coredns:1",
		UpstreamDNS: netip.MustParseAddr("192.0.2.53"),
	}
}

// golden compares a text with a file below testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it again):\n%s", path, got)
	}
}

func TestNodeFiles(t *testing.T) {
	files, err := testConfig().nodeFiles()
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		all.WriteString("-- " + name + " --\n" + files[name])
	}
	golden(t, "node.txt", all.String())
}

func TestCommandLines(t *testing.T) {
	config := testConfig()
	var all strings.Builder
	for _, component := range []sandbox.Component{
		config.etcd(), config.containerd(), config.apiServer(), config.controllerManager(), config.scheduler(),
		config.kubelet(), config.kubeProxy(),
	} {
		all.WriteString(component.Name + ":\n  " + strings.Join(component.Args, "\n    ") + "\n")
	}
	golden(t, "commands.txt", all.String())
}

func TestCoreDNSManifest(t *testing.T) {
	manifest, err := testConfig().render(coreDNSYAML)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "coredns.yaml", manifest)
}
