package fanout

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-logr/logr"
	istionetworking "istio.io/client-go/pkg/apis/networking/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/watch"
)

const (
	hawserNamespace = "hawser-system"
	istioNamespace  = "istio-system"
	// meshNamespace has the machines.
	meshNamespace = "shop"
)

// cluster is a kube-apiserver and etcd with as much of an Istio as a manager reads. No controller runs: whoever writes is the manager, or
// the benchmark.
type cluster struct {
	environment *envtest.Environment
	config      *rest.Config
	client      client.Client
	clientset   *kubernetes.Clientset
	images      *images
	// directory is for files that end with the run; kubeconfig is one.
	directory, kubeconfig string
	// managerAddress and healthAddress are where managers serve.
	managerAddress, healthAddress string
	// lastWrite is when quiet saw the last write.
	lastWrite time.Time
}

func startCluster(ctx context.Context, options Options, directory string) (c *cluster, err error) {
	// Without a logger controller-runtime complains about having none.
	log.SetLogger(logr.Discard())
	istio, err := moduleDir(ctx, filepath.Join(options.Root, "lab"), "istio.io/istio")
	if err != nil {
		return nil, err
	}
	c = &cluster{directory: directory, kubeconfig: filepath.Join(directory, "kubeconfig"), environment: &envtest.Environment{
		BinaryAssetsDirectory: options.Assets,
		CRDInstallOptions: envtest.CRDInstallOptions{ErrorIfPathMissing: true, Paths: []string{
			filepath.Join(options.Root, "deploy/helm/hawser/files/crds"), filepath.Join(istio, "manifests/charts/base/files/crd-all.gen.yaml"),
		}},
	}}
	if c.config, err = c.environment.Start(); err != nil {
		return nil, errors.Join(fail("start an API server", err), c.environment.Stop())
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.stop())
		}
	}()
	c.config.QPS, c.config.Burst = -1, -1
	return c, c.prepare(ctx)
}

// prepare makes clients and all objects but the machines.
func (c *cluster) prepare(ctx context.Context) error {
	user, err := c.environment.AddUser(envtest.User{Name: "hawser-manager", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return fail("make a user for the manager", err)
	}
	kubeconfig, err := user.KubeConfig()
	if err != nil {
		return fail("write the manager's kubeconfig", err)
	}
	if err := os.WriteFile(c.kubeconfig, kubeconfig, 0o600); err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := watch.AddToScheme(scheme); err != nil {
		return err
	}
	if c.client, err = client.New(c.config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	if c.clientset, err = kubernetes.NewForConfig(c.config); err != nil {
		return err
	}
	if err := c.discovered(ctx); err != nil {
		return err
	}
	for _, address := range []*string{&c.managerAddress, &c.healthAddress} {
		if *address, err = freeAddress(); err != nil {
			return err
		}
	}
	if c.images, err = serveImages(); err != nil {
		return err
	}
	return c.makeIstio(ctx)
}

// discovered waits until the API server tells of Istio's kinds, which it serves a moment earlier: a manager ends without them.
func (c *cluster) discovered(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		var errs []error
		for _, kind := range []schema.GroupKind{
			{Group: "networking.istio.io", Kind: "Sidecar"}, {Group: "security.istio.io", Kind: "AuthorizationPolicy"}, {Group: v1alpha1.GroupVersion().Group, Kind: "Machine"},
		} {
			_, err := c.client.RESTMapper().RESTMapping(kind)
			errs = append(errs, err)
		}
		err := errors.Join(errs...)
		if err == nil {
			return nil
		}
		if pause(ctx, 100*time.Millisecond) != nil {
			return fail("wait for Istio's kinds", err)
		}
	}
}

func (c *cluster) stop() error {
	if c.images != nil {
		c.images.server.Close()
	}
	return fail("stop the API server", c.environment.Stop())
}

func (c *cluster) makeIstio(ctx context.Context) error {
	gateway := &core.Service{
		ObjectMeta: meta.ObjectMeta{Namespace: istioNamespace, Name: "eastwestgateway", Labels: map[string]string{"istio": "eastwestgateway"}},
		Spec:       core.ServiceSpec{Type: core.ServiceTypeLoadBalancer, Ports: []core.ServicePort{{Name: "tls-istiod", Port: 15012}}},
	}
	values := fmt.Sprintf(`{"global": {"hub": "%s/istio", "tag": "1.31.4"}}`, c.images.host)
	for _, object := range []client.Object{
		&core.Namespace{ObjectMeta: meta.ObjectMeta{Name: hawserNamespace}},
		&core.Namespace{ObjectMeta: meta.ObjectMeta{Name: istioNamespace}},
		&core.Namespace{ObjectMeta: meta.ObjectMeta{Name: meshNamespace}},
		configMap(istioNamespace, "istio", "mesh", "trustDomain: cluster.local"),
		configMap(istioNamespace, "istio-sidecar-injector", "values", values),
		configMap(meshNamespace, "istio-ca-root-cert", "root-cert.pem", strings.Repeat(rootLine, 20)),
		gateway,
	} {
		if err := c.client.Create(ctx, object); err != nil {
			return err
		}
	}
	gateway.Status.LoadBalancer.Ingress = []core.LoadBalancerIngress{{IP: "172.31.0.240"}}
	return c.client.Status().Update(ctx, gateway)
}

// rootLine is a line of a root certificate, of which nothing but the length matters here: Istio's has twenty.
const rootLine = "MIIC/DCCAeSgAwIBAgIQVLVmZkUJmFqSNkMCTU9iHTANBgkqhkiG9w0BAQsFADAY\n"

func configMap(namespace, name, key, text string) *core.ConfigMap {
	return &core.ConfigMap{ObjectMeta: meta.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string]string{key: text}}
}

// changeMesh changes metadata of all proxies in the mesh's configuration.
func (c *cluster) changeMesh(ctx context.Context, round int) error {
	text := fmt.Sprintf("trustDomain: cluster.local\ndefaultConfig:\n  proxyMetadata:\n    BENCH_ROUND: \"%d\"\n", round)
	return c.client.Update(ctx, configMap(istioNamespace, "istio", "mesh", text))
}

// changeGroup changes a port of the lone machine's group.
func (c *cluster) changeGroup(ctx context.Context, round int) error {
	group := &istionetworking.WorkloadGroup{}
	if err := c.client.Get(ctx, client.ObjectKey{Namespace: meshNamespace, Name: loneName}, group); err != nil {
		return err
	}
	group.Spec.Template.Ports["bench"] = uint32(20000 + round)
	return c.client.Update(ctx, group)
}

func moduleDir(ctx context.Context, from, module string) (string, error) {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	list.Dir = from
	out, err := list.Output()
	return strings.TrimSpace(string(out)), fail("find the folder of module "+module, err)
}
