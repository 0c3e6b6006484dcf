package cluster

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/lab/internal/golden"
	"github.com/hawser-io/hawser/lab/internal/sandbox"
)

func testConfig() Config {
	return Config{
		StateDir: "/state", NodeAddress: netip.MustParseAddr("192.0.2.2"), Kube: "/cache/hawser-kube", Registry: "192.0.2.2:5000",
		PauseImage: "192.0.2.2:5000/lab/pause:1", CoreDNSImage: "192.0.2.2:5000/lab/coredns:1",
		UpstreamDNS: netip.MustParseAddr("192.0.2.53"),
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
	golden.Check(t, "node.txt", all.String())
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
	golden.Check(t, "commands.txt", all.String())
}

func TestCoreDNSManifest(t *testing.T) {
	manifest, err := testConfig().render(coreDNSYAML)
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "coredns.yaml", manifest)
}
