//go:build apiserver

package managertest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// StartAPIServer runs etcd and kube-apiserver of the folder KUBEBUILDER_ASSETS until the test ends, and returns an administrator's
// configuration. The kinds of Hawser and of Istio are installed. Nothing else of a cluster runs: no garbage collector, no
// namespace controller, no ServiceAccount controller.
func StartAPIServer(t testing.TB) *rest.Config {
	t.Helper()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("KUBEBUILDER_ASSETS names no folder with kube-apiserver and etcd: run these tests with make apiserver")
	}
	// Without a logger controller-runtime complains about having none.
	log.SetLogger(logr.Discard())
	root := repository(t)
	environment := &envtest.Environment{
		CRDInstallOptions: envtest.CRDInstallOptions{
			Paths: []string{
				filepath.Join(root, "deploy/helm/hawser/files/crds"),
				filepath.Join(istioModule(t, root), "manifests/charts/base/files/crd-all.gen.yaml"),
			},
			ErrorIfPathMissing: true,
		},
	}
	config, err := environment.Start()
	if err != nil {
		t.Fatalf("start an API server: %v", err)
	}
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Errorf("stop the API server: %v", err)
		}
	})
	// Tests are not to wait for a client's own rate limit.
	config.QPS, config.Burst = -1, -1
	return config
}

// repository is the folder of the root module.
func repository(t testing.TB) string {
	t.Helper()
	return moduleDir(t, "", "github.com/hawser-io/hawser")
}

// istioModule is the folder of Istio's module, in the version that the lab runs.
func istioModule(t testing.TB, root string) string {
	t.Helper()
	return moduleDir(t, filepath.Join(root, "lab"), "istio.io/istio")
}

func moduleDir(t testing.TB, from, module string) string {
	t.Helper()
	list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module)
	list.Dir = from
	out, err := list.Output()
	if err != nil {
		t.Fatalf("find the folder of module %s: %v", module, err)
	}
	return strings.TrimSpace(string(out))
}
