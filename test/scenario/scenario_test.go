//go:build apiserver

package scenario

import (
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hawser-io/hawser/internal/ctl"
	"github.com/hawser-io/hawser/internal/ctl/cluster"
	"github.com/hawser-io/hawser/internal/manager/managertest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hawser": func() { os.Exit(ctl.Main()) }})
}

// TestScenarios runs each script of testdata in a namespace of its own, whose name is in $NS. The kubeconfig's contexts are admin, and
// one for each user that the script makes with the verb user.
func TestScenarios(t *testing.T) {
	config := managertest.StartAPIServer(t)
	kube, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("cluster-without-hawser", func(t *testing.T) { testClusterWithoutHawser(t, config) })
	w := &world{config: config, kube: kube}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               w.setup,
		Cmds:                w.verbs(),
	})
}

// testClusterWithoutHawser asks a real API server for kinds that it does not have.
func testClusterWithoutHawser(t *testing.T, config *rest.Config) {
	kube, err := cluster.New(config)
	if err != nil {
		t.Fatal(err)
	}
	for name, missing := range map[string]schema.GroupVersionResource{
		"no-version":  {Group: "hawser.io", Version: "v9", Resource: "machines"},
		"no-resource": {Group: "hawser.io", Version: "v1alpha1", Resource: "boats"},
	} {
		t.Run(name, func(t *testing.T) {
			_, list := kube.List(t.Context(), missing, "", metav1.ListOptions{})
			_, get := kube.Get(t.Context(), missing, "default", "x")
			_, table := kube.Table(t.Context(), missing, "default", "", metav1.ListOptions{})
			for _, err := range []error{list, get, table} {
				if err == nil || !strings.HasPrefix(err.Error(), "this cluster has no Hawser") {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

// writeKubeconfig writes a context for an administrator.
func writeKubeconfig(file string, config *rest.Config, namespace string) error {
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters["test"] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	kubeconfig.AuthInfos["admin"] = &clientcmdapi.AuthInfo{ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}
	kubeconfig.Contexts["admin"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "admin", Namespace: namespace}
	kubeconfig.CurrentContext = "admin"
	return clientcmd.WriteToFile(*kubeconfig, file)
}

// addUser adds a context for a user, whom the administrator's credentials impersonate.
func addUser(file, user string) error {
	kubeconfig, err := clientcmd.LoadFromFile(file)
	if err != nil {
		return err
	}
	impersonated := kubeconfig.AuthInfos["admin"].DeepCopy()
	impersonated.Impersonate, impersonated.ImpersonateGroups = user, []string{"system:authenticated"}
	kubeconfig.AuthInfos[user] = impersonated
	context := kubeconfig.Contexts["admin"].DeepCopy()
	context.AuthInfo = user
	kubeconfig.Contexts[user] = context
	return clientcmd.WriteToFile(*kubeconfig, file)
}
